// Owns: the first sink of alerts: the warden's log. At least once: an alert counts as logged only after it was.
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { markLogged, takeUnlogged } from './alert-queries.ts';

const passMax = 200;

export async function logAlerts(database: Database, log: Logger): Promise<void> {
  await database.withSystem(async (tx) => {
    const alerts = await takeUnlogged(tx, passMax);
    for (const { id, kind, severity, subject, text, facts, next_command: nextCommand, contact, contact_text: contactText } of alerts) {
      const line = { alert: id, kind, severity, subject, facts, nextCommand, ...(contact === null ? {} : { contact, contactText }) };
      if (severity === 'critical') log.error(line, text);
      else if (severity === 'warning') log.warn(line, text);
      else log.info(line, text);
    }
    if (alerts.length > 0)
      await markLogged(
        tx,
        alerts.map((alert) => alert.id),
      );
  });
}
