// Owns: six alerts about the record: that too many entries wait for a seal, that entries of operators are sealed
// late, that a witness has lost its checkpoint or, not being required, cannot be used, that a freeze stands which
// this warden did not find, and that the row of one that it found was changed. Each is raised at most once a minute
// for each subject.
// Must never: count an alert as raised when its row could not be written.
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Freeze, FreezeRow } from './seal-queries.ts';
import type { Delivery } from './witness/witness.ts';

const alarmEveryMs = 60_000;

/** Raises alerts about the record over the sealer's pool, and logs them as errors. */
export class LedgerAlarms {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #raisedAt = new Map<string, number>();

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  async raise(
    kind: 'ledger.behind' | 'ledger.frozen' | 'ledger.operators-late' | 'ledger.witness-fault' | 'ledger.witness-lost',
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

  /**
   * Raises the alert about a freeze that this warden did not find: another warden wrote it, and raised its alert; or
   * somebody who owns the database did, and raised none.
   */
  foundByOthers({ id, why, text }: Freeze): Promise<void> {
    return this.raise(
      'ledger.frozen',
      `nothing is served: the database holds a freeze that this warden did not find; another warden did, or somebody wrote it there: ${text}`,
      { freeze: id, why },
      `seen ${id}`,
    );
  }

  /**
   * Raises the alert that somebody who owns the database changed the row of a freeze that this warden found. The row is
   * written back.
   */
  changed({ id, why, text }: Freeze, said: FreezeRow): Promise<void> {
    const was = said.isReleased
      ? 'was marked as released, which no two operators did'
      : `said: ${said.text.slice(0, 200)} (${said.why})`;
    return this.raise(
      'ledger.frozen',
      `nothing is served: ${text}. The row of this freeze was changed in the database and is written back; it ${was}`,
      { freeze: id, why, said: said.why },
      `changed ${id}`,
    );
  }

  full(unsealed: number, unsealedEntriesMax: number): Promise<void> {
    const text = `at least ${unsealed} entries wait for their seal, ${unsealedEntriesMax} may: until they are fewer no login, file or name begins`;
    return this.raise('ledger.behind', text, { unsealed, unsealedEntriesMax });
  }

  operatorsLate(ms: number): Promise<void> {
    return this.raise(
      'ledger.operators-late',
      `the oldest entry of the admin process has no seal for ${Math.round(ms / 1000)} s; both planes are served meanwhile`,
      { operatorsUnsealedMs: Math.round(ms) },
    );
  }
}

/**
 * Raises the alarm about a witness that is not required and has been behind for `alarmMs`. `LagClock` judges the
 * required ones.
 */
export async function tellBehind({ witness, behind }: Delivery, alarms: LedgerAlarms, alarmMs: number): Promise<void> {
  if (witness.isRequired || behind === undefined || behind.ms < alarmMs) return;
  const text = `the witness ${witness.name} has not had the newest checkpoint for ${Math.round(behind.ms / 1000)} s: ${behind.why ?? 'it has not answered yet'}; it is not required, and everything goes on`;
  await alarms.raise(
    'ledger.witness-fault',
    text.slice(0, 600),
    { witness: witness.name, behindMs: Math.round(behind.ms) },
    witness.name,
  );
}
