// Owns: what this process knows about the seals of rows: how often each was sealed, and which seal the record names
// last. An old row with its old seal has a smaller generation than is known, and the seal of a transaction that was
// undone differs from the one that the record names.
// Must never: learn from a row whose seal did not verify, or from a transaction that may still be undone.
import { hash } from 'node:crypto';
import type { Transaction } from '../../postgres/database.ts';
import { type NarrowedRow, type ResealedRow, type RowName, resealedAgain, resealedSince } from './seal-queries.ts';

/**
 * The largest number of rows that are remembered, which is more than any installation has. Rows beyond it are known
 * from the record only, at the next start.
 */
const knownMax = 2_000_000;
/** The number of entries that one pass reads again, so that its work does not grow with the age of the record. */
const rereadMax = 5000;
const keyOf = ({ kind, id }: RowName): string => `${kind}/${id}`;

type BudgetFacts = {
  readonly rank: number;
  readonly direction: string;
  readonly credential_id: string | null;
  readonly account_id: string | null;
  readonly customer_id: string | null;
  readonly plane: string | null;
};

/** Returns the scope and the direction of a budget. There is one budget for each scope and direction. */
export function budgetNameOf({ rank, direction, credential_id, account_id, customer_id, plane }: BudgetFacts): string {
  const owner = { 1: credential_id, 2: `${account_id}/${customer_id}`, 3: customer_id, 4: plane }[rank] ?? 'gateway';
  return `${owner}/${direction}`;
}

/** Returns a short identifier of a seal, from which the seal cannot be computed. */
const markOf = (mac: Uint8Array): string => hash('sha256', mac, 'buffer').subarray(0, 12).toString('base64url');

/** Returns the form in which an entry `rows.resealed` names a row. */
export const resealedRow = ({
  kind,
  id,
  generation,
  facts,
  mac,
}: RowName & { readonly generation: number; readonly facts: string; readonly mac: Uint8Array }): ResealedRow =>
  kind === 'budget'
    ? [kind, id, generation, markOf(mac), budgetNameOf(JSON.parse(facts) as BudgetFacts)]
    : [kind, id, generation, markOf(mac)];

/** The memory of one process about seals. It is filled from the record and from rows that were verified. */
export class Generations {
  readonly #newest = new Map<string, number>();
  /** What the record says about the newest seal of each row that was sealed more than once. */
  readonly #recorded = new Map<string, { readonly generation: number; readonly mark: string | undefined }>();
  /**
   * For each scope and direction, the id of the newest budget that the record names. A budget that is made later has a
   * greater id.
   */
  readonly #budgets = new Map<string, number>();
  /**
   * Budgets of which the record names no scope and direction, because their entries were written by an earlier version.
   */
  readonly #unnamed = new Set<string>();
  readonly #narrowed = new Map<string, { readonly generation: number; readonly from: number }>();
  /** The number of the newest sealed entry that was read. */
  #number = -1;
  /** The number of the newest sealed entry that was read a second time. */
  #again = -1;
  /** How often everything was forgotten. */
  #times = 0;

  /** Returns the newest known generation of a row, or 0 when nothing is known about it. */
  newest(row: RowName): number {
    return this.#newest.get(keyOf(row)) ?? 0;
  }

  isOld(row: RowName & { readonly generation: number }): boolean {
    return row.generation < this.newest(row);
  }

  /**
   * Returns whether this is a state that the record does not name, of a row of which it names other states. Either the
   * transaction that sealed it was undone, whatever its seal says; or another warden sealed it a moment ago, and the
   * record was not read since.
   */
  isUnrecorded(row: RowName & { readonly generation: number; readonly mac: Uint8Array | null }): boolean {
    const recorded = this.#recorded.get(keyOf(row));
    if (recorded === undefined || row.mac === null || row.generation < recorded.generation) return false;
    return row.generation > recorded.generation || recorded.mark !== markOf(row.mac);
  }

  /**
   * Returns whether this is the state that a row had before somebody altered it, put back after something was taken
   * away from the altered row. It is old; but it may be narrowed once more, and that makes it good again.
   */
  isPutBack(row: RowName & { readonly generation: number }): boolean {
    const narrowed = this.#narrowed.get(keyOf(row));
    return narrowed !== undefined && narrowed.generation === this.newest(row) && narrowed.from === row.generation;
  }

  /**
   * Returns what the record is to say about an altered row from which something is taken away: that no state of it so
   * far is valid.
   */
  narrowedRow(row: RowName): NarrowedRow {
    const newest = Math.max(this.newest(row), 1);
    const narrowed = this.#narrowed.get(keyOf(row));
    return [row.kind, row.id, newest + 1, narrowed?.generation === newest ? narrowed.from : newest];
  }

  /** Returns the id of the newest budget of a scope and direction that the record names, or 0 when it names none. */
  newestBudget(name: string): number {
    return this.#budgets.get(name) ?? 0;
  }

  unnamedBudgets(): readonly RowName[] {
    return [...this.#unnamed].map((id) => ({ kind: 'budget', id }));
  }

  /**
   * Returns whether a budget stands in the place of another one that operators had changed: an older one that was put
   * back, or a newer one that was made without a change by two operators.
   */
  isOutOfPlace({
    kind,
    id,
    facts,
    change,
  }: RowName & { readonly facts: string; readonly change: string | null }): boolean {
    if (kind !== 'budget') return false;
    const newest = this.newestBudget(budgetNameOf(JSON.parse(facts) as BudgetFacts));
    return Number(id) < newest || (newest !== 0 && Number(id) > newest && change === null);
  }

  /**
   * Returns whether the scope and direction of this budget had a budget named by the record. Then the record names the
   * new one from its first seal on.
   */
  isAfterAnother({ kind, facts }: RowName & { readonly facts: string }): boolean {
    return kind === 'budget' && this.newestBudget(budgetNameOf(JSON.parse(facts) as BudgetFacts)) !== 0;
  }

  /** Remembers the generation of a row whose seal was verified in committed data. Returns true when that is news. */
  learn(row: RowName & { readonly generation: number }): boolean {
    const key = keyOf(row);
    const known = this.#newest.get(key);
    const isNews = known === undefined ? this.#newest.size < knownMax : known < row.generation;
    if (isNews) this.#newest.set(key, row.generation);
    return isNews;
  }

  #readNarrowed(rows: readonly NarrowedRow[] | null): void {
    for (const [kind, id, generation, from] of rows ?? []) {
      const key = `${kind}/${id}`;
      if (this.#narrowed.size < knownMax && (this.#narrowed.get(key)?.generation ?? 0) < generation)
        this.#narrowed.set(key, { generation, from });
    }
  }

  /** Reads one row of an entry. Returns true when its generation is news. */
  #read([kind, id, generation, mark, budgetName]: ResealedRow): boolean {
    const key = `${kind}/${id}`;
    // The first entry that names a generation counts, because whoever forges an entry can only do so later.
    if (
      generation > (this.#recorded.get(key)?.generation ?? 0) &&
      (this.#recorded.size < knownMax || this.#recorded.has(key))
    )
      this.#recorded.set(key, { generation, mark });
    if (kind === 'budget') {
      if (budgetName === undefined) {
        if (this.#unnamed.size < knownMax) this.#unnamed.add(id);
      } else {
        this.#unnamed.delete(id);
        if (this.#budgets.size < knownMax || this.#budgets.has(budgetName))
          this.#budgets.set(budgetName, Math.max(this.newestBudget(budgetName), Number(id)));
      }
    }
    return this.learn({ kind: kind as RowName['kind'], id, generation });
  }

  /**
   * Forgets everything, because the record is not the one that this was learned from: the database was set back, and
   * two operators may decide that it goes on. Then what the database holds counts, as it does for a warden that starts.
   */
  forget(): void {
    this.#times += 1;
    this.#newest.clear();
    this.#recorded.clear();
    this.#budgets.clear();
    this.#unnamed.clear();
    this.#narrowed.clear();
    this.#number = -1;
    this.#again = -1;
  }

  /**
   * Reads what the record says about rows that were sealed again: everything after a start, and afterwards what other
   * wardens added. Must not be called after `tx` itself recorded such an entry.
   */
  async refresh(tx: Transaction): Promise<void> {
    for (const { number, rows, narrowed } of await resealedSince(tx, this.#number)) {
      this.#readNarrowed(narrowed);
      if (number !== null) this.#number = Math.max(this.#number, number);
      for (const row of rows) this.#read(row);
    }
  }

  /**
   * Reads entries once more, for the regular pass: a part each time, and from the beginning again after the last one.
   * Sealed entries are read in order, so an entry that is new to this process although its number was passed already
   * was hidden before, perhaps while this process started. Returns the rows that such entries name: whatever relied on
   * them meanwhile relied on an earlier state.
   */
  async reread(tx: Transaction): Promise<readonly RowName[]> {
    const times = this.#times;
    await this.refresh(tx);
    const entries = await resealedAgain(tx, this.#again, rereadMax);
    if (times !== this.#times) return [];
    this.#again = entries.length < rereadMax ? -1 : (entries.at(-1)?.number ?? -1);
    const hidden: RowName[] = [];
    for (const { number, rows, narrowed } of entries) {
      this.#readNarrowed(narrowed);
      for (const row of rows)
        if (this.#read(row) && number <= this.#number) hidden.push({ kind: row[0] as RowName['kind'], id: row[1] });
    }
    return hidden;
  }
}

const known = new WeakMap<object, Generations>();

/**
 * Returns the knowledge that belongs to these keys. There is one for a process, so it is available wherever the keys
 * are.
 */
export function generationsOf(keys: object): Generations {
  const made = known.get(keys) ?? new Generations();
  known.set(keys, made);
  return made;
}
