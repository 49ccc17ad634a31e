// Owns: how often each row was sealed, and by which seal last, as far as this process knows: an old row with its old seal is older than what is known, and the seal of
// a transaction that was undone is another one than the record names.
// Must never: learn from a row whose seal did not verify, or from a transaction that may be undone.
import { hash } from 'node:crypto';
import type { Transaction } from '../../postgres/database.ts';
import { type NarrowedRow, type ResealedRow, type RowName, resealedAgain, resealedSince } from './seal-queries.ts';

/** More than any installation has; beyond, rows are known by the record only, at the next start. */
const knownMax = 2_000_000;
/** Entries that one pass reads again: its work does not grow with the age of the record. */
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

/** The scope and direction of a budget: there is one of each. */
export function placeOfBudget({ rank, direction, credential_id, account_id, customer_id, plane }: BudgetFacts): string {
  const owner = { 1: credential_id, 2: `${account_id}/${customer_id}`, 3: customer_id, 4: plane }[rank] ?? 'gateway';
  return `${owner}/${direction}`;
}

/** Names a seal, and says nothing that would make another one. */
export const markOf = (mac: Uint8Array): string => hash('sha256', mac, 'buffer').subarray(0, 12).toString('base64url');

/** As the entry says it. */
export const resealedRow = ({
  kind,
  id,
  generation,
  facts,
  mac,
}: RowName & { readonly generation: number; readonly facts: string; readonly mac: Uint8Array }): ResealedRow =>
  kind === 'budget'
    ? [kind, id, generation, markOf(mac), placeOfBudget(JSON.parse(facts) as BudgetFacts)]
    : [kind, id, generation, markOf(mac)];

export class Generations {
  readonly #newest = new Map<string, number>();
  /** What the record says of the newest seal of each row that was sealed again. */
  readonly #recorded = new Map<string, { readonly generation: number; readonly mark: string | undefined }>();
  /** The newest budget of each place that the record knows of, by its number: a row that is made later has a greater one. */
  readonly #budgets = new Map<string, number>();
  /** Budgets of which entries of an earlier version say no place. */
  readonly #unplaced = new Set<string>();
  readonly #narrowed = new Map<string, { readonly generation: number; readonly from: number }>();
  /** Of the newest sealed entry that was read. */
  #number = -1;
  /** Of the newest sealed entry that was read again. */
  #again = -1;
  /** How often everything was forgotten. */
  #times = 0;

  /** 0: nothing is known of it. */
  newest(row: RowName): number {
    return this.#newest.get(keyOf(row)) ?? 0;
  }

  isOld(row: RowName & { readonly generation: number }): boolean {
    return row.generation < this.newest(row);
  }

  /**
   * A state that the record does not name, of a row of which it names others: its transaction was undone, whatever its seal says. Or it was sealed a moment
   * ago by another warden, and the record was not looked at since.
   */
  isUnrecorded(row: RowName & { readonly generation: number; readonly mac: Uint8Array | null }): boolean {
    const recorded = this.#recorded.get(keyOf(row));
    if (recorded === undefined || row.mac === null || row.generation < recorded.generation) return false;
    return row.generation > recorded.generation || recorded.mark !== markOf(row.mac);
  }

  /** The state that a row had before somebody altered it, when something was taken away meanwhile: it is old, but may be narrowed anew, and is good then. */
  isPutBack(row: RowName & { readonly generation: number }): boolean {
    const narrowed = this.#narrowed.get(keyOf(row));
    return narrowed !== undefined && narrowed.generation === this.newest(row) && narrowed.from === row.generation;
  }

  /** What the record is to say of an altered row from which something is taken away: that no state of it up to now is good by itself. */
  narrowedRow(row: RowName): NarrowedRow {
    const newest = Math.max(this.newest(row), 1);
    const narrowed = this.#narrowed.get(keyOf(row));
    return [row.kind, row.id, newest + 1, narrowed?.generation === newest ? narrowed.from : newest];
  }

  /** 0: the record knows of none that was changed. */
  budgetAt(place: string): number {
    return this.#budgets.get(place) ?? 0;
  }

  unplacedBudgets(): readonly RowName[] {
    return [...this.#unplaced].map((id) => ({ kind: 'budget', id }));
  }

  /** A budget in the place of another one that operators had changed: an older one that was put back, or a new one that no two of them set. */
  isOutOfPlace({ kind, id, facts, change }: RowName & { readonly facts: string; readonly change: string | null }): boolean {
    if (kind !== 'budget') return false;
    const newest = this.budgetAt(placeOfBudget(JSON.parse(facts) as BudgetFacts));
    return Number(id) < newest || (newest !== 0 && Number(id) > newest && change === null);
  }

  /** The budget of a place that had another one: that it is this one now stands in the record from its first seal on. */
  isAfterAnother({ kind, facts }: RowName & { readonly facts: string }): boolean {
    return kind === 'budget' && this.budgetAt(placeOfBudget(JSON.parse(facts) as BudgetFacts)) !== 0;
  }

  /** After its seal verified, in what is committed. True: that is news. */
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

  /** One row of an entry. */
  #read([kind, id, generation, mark, place]: ResealedRow): boolean {
    const key = `${kind}/${id}`;
    // The first one that says a generation: whoever writes entries of his own comes later.
    if (generation > (this.#recorded.get(key)?.generation ?? 0) && (this.#recorded.size < knownMax || this.#recorded.has(key)))
      this.#recorded.set(key, { generation, mark });
    if (kind === 'budget') {
      if (place === undefined) {
        if (this.#unplaced.size < knownMax) this.#unplaced.add(id);
      } else {
        this.#unplaced.delete(id);
        if (this.#budgets.size < knownMax || this.#budgets.has(place)) this.#budgets.set(place, Math.max(this.budgetAt(place), Number(id)));
      }
    }
    return this.learn({ kind: kind as RowName['kind'], id, generation });
  }

  /**
   * The record is not the one that this was learned from: a database was set back, and two operators may let it go on. What it holds counts then, as it
   * does for a warden that starts.
   */
  forget(): void {
    this.#times += 1;
    this.#newest.clear();
    this.#recorded.clear();
    this.#budgets.clear();
    this.#unplaced.clear();
    this.#narrowed.clear();
    this.#number = -1;
    this.#again = -1;
  }

  /** What the record says of rows that were sealed again: after a start, and what another warden did since the last look. Not after `tx` itself recorded some. */
  async refresh(tx: Transaction): Promise<void> {
    for (const { number, rows, narrowed } of await resealedSince(tx, this.#number)) {
      this.#readNarrowed(narrowed);
      if (number !== null) this.#number = Math.max(this.#number, number);
      for (const row of rows) this.#read(row);
    }
  }

  /**
   * What the record says once more, for the regular pass: a part of it each time, and from its beginning again when it was read through. Sealed entries are
   * read in their order, so an entry below what was read already cannot be new: it was hidden when it was looked for, perhaps while this process started. The
   * rows whose end it told: what relied on them meanwhile relied on an earlier state.
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
      for (const row of rows) if (this.#read(row) && number <= this.#number) hidden.push({ kind: row[0] as RowName['kind'], id: row[1] });
    }
    return hidden;
  }
}

const known = new WeakMap<object, Generations>();

/** One a process: what it knows is known wherever it holds its keys. */
export function generationsOf(keys: object): Generations {
  const made = known.get(keys) ?? new Generations();
  known.set(keys, made);
  return made;
}
