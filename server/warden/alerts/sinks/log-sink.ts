// Owns: the first destination of alerts, which is the warden's log. An alert that this process raises is logged as soon
// as its transaction has ended; a pass logs those that stand in the database and that this process has not logged.
// Must never: let a row of the database decide that an alert of this process was logged. Delivery is at least once: an
// alert is marked as logged only after it was written.
import type { RaisedAlert } from '../../../domain/raised-alert.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { Reading } from '../../../observability/metrics.ts';
import type { Database } from '../../../postgres/database.ts';
import { passOverRows } from '../../passes/row-passes.ts';
import { type AlertRow, findUnlogged, markLogged, takeUnlogged } from '../alert-queries.ts';

/** The number of alerts of which this process remembers that it logged them. A row stands for an hour. */
const rememberedMax = 20_000;

export class AlertLog {
  readonly #log: Logger;
  /** The rows that this process logged, the oldest first. */
  readonly #logged = new Set<string>();
  readonly #counts = { notice: 0, warning: 0, critical: 0 };

  constructor(log: Logger) {
    this.#log = log;
  }

  get metrics(): readonly Reading[] {
    return (['notice', 'warning', 'critical'] as const).map((severity) => ({
      name: 'warden_alerts_total',
      help: 'Alerts that this process logged.',
      kind: 'counter',
      value: this.#counts[severity],
      labels: { severity },
    }));
  }

  /** Logs an alert that this process raised, unless it has logged its row already. */
  readonly hear = (alert: RaisedAlert): void => {
    if (alert.oddity !== null)
      this.#log.error(
        { alert: alert.id, kind: alert.kind, subject: alert.subject },
        `an alert is hidden: ${alert.oddity}; somebody changed the database`,
      );
    if (alert.id === null || !this.#logged.has(alert.id)) this.#write(alert);
  };

  /** Logs the alerts that stand in the database without a mark, and marks them. */
  async pass(database: Database): Promise<void> {
    await passOverRows({ database, log: this.#log }, 'alerts', {
      find: findUnlogged,
      work: async (tx, ids) => {
        const alerts = await takeUnlogged(tx, ids);
        for (const row of alerts) if (!this.#logged.has(row.id)) this.#write(raised(row));
        await markLogged(
          tx,
          alerts.map((alert) => alert.id),
        );
      },
    });
  }

  #write({ id, kind, severity, subject, text, facts, nextCommand, contact, contactText }: RaisedAlert): void {
    const line = {
      alert: id,
      kind,
      severity,
      subject,
      facts,
      nextCommand,
      ...(contact === null ? {} : { contact, contactText }),
    };
    if (severity === 'critical') this.#log.error(line, text);
    else if (severity === 'warning') this.#log.warn(line, text);
    else this.#log.info(line, text);
    this.#counts[severity] += 1;
    if (id === null) return;
    this.#logged.add(id);
    const [oldest] = this.#logged;
    if (this.#logged.size > rememberedMax && oldest !== undefined) this.#logged.delete(oldest);
  }
}

const raised = ({ next_command: nextCommand, contact_text: contactText, ...row }: AlertRow): RaisedAlert => ({
  ...row,
  nextCommand,
  contactText,
  oddity: null,
});
