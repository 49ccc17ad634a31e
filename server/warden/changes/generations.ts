// Owns: how often each row was sealed, as far as this process knows: an old row with its old seal is older than what is known.
// Must never: learn from a row whose seal did not verify, or from a transaction that may be undone.
import type { Transaction } from '../../postgres/database.ts';
import { type RowName, resealedSince } from './seal-queries.ts';

/** More than any installation has; beyond, rows are known by the record only, at the next start. */
const knownMax = 2_000_000;
const keyOf = ({ kind, id }: RowName): string => `${kind}/${id}`;

export class Generations {
  readonly #newest = new Map<string, number>();
  #number = -1;

  /** 0: nothing is known of it. */
  newest(row: RowName): number {
    return this.#newest.get(keyOf(row)) ?? 0;
  }

  isOld(row: RowName & { readonly generation: number }): boolean {
    return row.generation < this.newest(row);
  }

  /** After its seal verified, in what is committed. */
  learn(row: RowName & { readonly generation: number }): void {
    const key = keyOf(row);
    const known = this.#newest.get(key);
    if (known === undefined ? this.#newest.size < knownMax : known < row.generation) this.#newest.set(key, row.generation);
  }

  /** What the record says of rows that were sealed again: after a start, and what another warden did since the last look. Not after `tx` itself recorded some. */
  async refresh(tx: Transaction): Promise<void> {
    for (const { number, rows } of await resealedSince(tx, this.#number)) {
      if (number !== null) this.#number = Math.max(this.#number, number);
      for (const [kind, id, generation] of rows) this.learn({ kind: kind as RowName['kind'], id, generation });
    }
  }
}

const known = new WeakMap<object, Generations>();

/** One a process: what it knows is known wherever it holds its keys. */
export function generationsOf(keys: object): Generations {
  const made = known.get(keys) ?? new Generations();
  known.set(keys, made);
  return made;
}
