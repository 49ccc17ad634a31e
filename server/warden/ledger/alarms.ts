// Owns: three alarms about the record: that too many entries wait for a seal, that entries of operators are sealed
// late, and that a witness has lost its checkpoint. Each is raised at most once a minute for each subject.
// Must never: count an alarm as raised when its row could not be written.
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';

const alarmEveryMs = 60_000;

/** Raises alarms about the record over the sealer's pool, and logs them as errors. */
export class LedgerAlarms {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #raisedAt = new Map<string, number>();

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  async raise(
    kind: 'ledger.behind' | 'ledger.operators-late' | 'ledger.witness-lost',
    text: string,
    facts: Readonly<Record<string, unknown>>,
    subject = 'ledger',
  ): Promise<void> {
    const key = `${kind} ${subject}`;
    if (performance.now() - (this.#raisedAt.get(key) ?? Number.NEGATIVE_INFINITY) < alarmEveryMs) return;
    this.#log.error(facts, text);
    await this.#database.withSystem((tx) =>
      insertAlert(tx, { kind, severity: 'critical', subject, text, facts, nextCommand: 'cofferctl ledger status' }),
    );
    this.#raisedAt.set(key, performance.now());
  }
}
