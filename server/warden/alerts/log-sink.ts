// Owns: the first destination of alerts, which is the warden's log. Delivery is at least once: an alert is marked as
// logged only after it was written.
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { passOverRows } from '../row-passes.ts';
import { type AlertRow, findUnlogged, markLogged, takeUnlogged } from './alert-queries.ts';

export async function logAlerts(warden: { readonly database: Database; readonly log: Logger }): Promise<void> {
  await passOverRows(warden, 'alerts', {
    find: findUnlogged,
    work: async (tx, ids) => {
      const alerts = await takeUnlogged(tx, ids);
      for (const alert of alerts) write(warden.log, alert);
      await markLogged(
        tx,
        alerts.map((alert) => alert.id),
      );
    },
  });
}

function write(log: Logger, alert: AlertRow): void {
  const { id, kind, severity, subject, text, facts, next_command: nextCommand, contact, contact_text: contactText } = alert;
  const line = { alert: id, kind, severity, subject, facts, nextCommand, ...(contact === null ? {} : { contact, contactText }) };
  if (severity === 'critical') log.error(line, text);
  else if (severity === 'warning') log.warn(line, text);
  else log.info(line, text);
}
