// Owns: the sums over the entries in which an indicator occurs.
// Must never: hold more ids than its limit, or leave out an id without saying so.
import type { ArchivedEntry } from '../ledger/archive-line.ts';

/** `first` and `last` are in microseconds since 1970. */
export type Sightings = {
  readonly hits: number;
  readonly first: number;
  readonly last: number;
  readonly sessions: ReadonlySet<string>;
  readonly accounts: ReadonlySet<string>;
  readonly customers: ReadonlySet<string>;
  readonly kinds: ReadonlyMap<string, number>;
};
type Growing = {
  hits: number;
  first: number;
  last: number;
  readonly sessions: Set<string>;
  readonly accounts: Set<string>;
  readonly customers: Set<string>;
  readonly kinds: Map<string, number>;
};

/** The largest number of sessions, accounts, customers and kinds that are held for all indicators together. */
export const sightingIdsMax = 2_000_000;

export type Tally = {
  /**
   * Adds an entry for the indicators at these positions of the list. Returns false when the limit is exceeded; then
   * `mostSessions` tells which indicator to leave out.
   */
  add(entry: ArchivedEntry, positions: readonly number[]): boolean;
  /** Returns the position of the indicator with the most sessions, or -1 when nothing was added. */
  mostSessions(): number;
  readonly sightings: ReadonlyMap<number, Sightings>;
};

export function tallyOf(idsMax: number = sightingIdsMax): Tally {
  const sightings = new Map<number, Growing>();
  let room = idsMax;
  const keep = (set: Set<string>, id: string | null): void => {
    if (id === null || set.has(id)) return;
    set.add(id);
    room -= 1;
  };
  const at = (position: number, time: number): Growing => {
    const before = sightings.get(position);
    if (before !== undefined) return before;
    const made = {
      hits: 0,
      first: time,
      last: time,
      sessions: new Set<string>(),
      accounts: new Set<string>(),
      customers: new Set<string>(),
      kinds: new Map(),
    };
    sightings.set(position, made);
    return made;
  };
  return {
    sightings,
    add: (entry, positions) => {
      for (const position of positions) {
        const one = at(position, entry.at);
        one.hits += 1;
        one.first = Math.min(one.first, entry.at);
        one.last = Math.max(one.last, entry.at);
        keep(one.sessions, entry.session);
        keep(one.accounts, entry.account);
        keep(one.customers, entry.customer);
        const count = one.kinds.get(entry.kind);
        if (count === undefined) room -= 1;
        one.kinds.set(entry.kind, (count ?? 0) + 1);
      }
      return room >= 0;
    },
    mostSessions: () =>
      [...sightings].reduce(
        (most, [position, one]) => (one.sessions.size > (sightings.get(most)?.sessions.size ?? -1) ? position : most),
        -1,
      ),
  };
}
