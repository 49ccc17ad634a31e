// Owns: what the warden's shares are used up by: which line a call and its transactions belong to, and for whom they count (T-35).
// Must never: let an edge's call take a connection of the leases, the greetings or the warden's own passes.
import type { WardenShares } from '../config/shares.ts';
import type { Claim } from '../domain/share.ts';
import type { Place } from '../postgres/database.ts';
import { type Door, takeFault } from '../rpc/door.ts';
import { claimant, onBehalfOf, type Slots, slotsOf } from '../rpc/slots.ts';
import type { EdgeCaller } from './context.ts';

export type WardenSlots = { readonly [L in keyof WardenShares]: Slots };
export const wardenSlots = (shares: WardenShares): WardenSlots => slotsOf(shares);

export const claimOf = ({ node, plane }: EdgeCaller): Claim => ({ holder: node, group: plane });
/** Work that no edge asked for. */
export const itself: Claim = { holder: 'warden', group: 'warden' };

type Line = 'leases' | 'greetings' | 'transactions';
/** Operations that an edge must get through, whatever else it asks: each has connections of its own. */
const lines: Readonly<Record<string, Line>> = { 'lease.renew': 'leases', 'node.hello': 'greetings' };
const lineOf = (operation: string): Line => lines[operation] ?? 'transactions';

/** An edge's call does not hold a connection for longer than this to wait for a lock that another one has. */
const lockMs: Readonly<Record<Line, number>> = { leases: 1000, greetings: 5000, transactions: 3000 };
/** What waits for an operator's command is tried again, less than an edge waits for an answer. A lease that comes late is worth nothing. */
const patienceMs: Readonly<Record<Line, number>> = { leases: 0, greetings: 0, transactions: 20_000 };

const lineOfWork = (line: string | undefined): Line => (line === 'leases' || line === 'greetings' ? line : 'transactions');

/** A place for a transaction of whoever we are at work for. A lease or a greeting has taken its one when it was called, and has one transaction at a time. */
export async function placeFor(slots: WardenSlots): Promise<Place> {
  const whose = claimant();
  if (whose === undefined) return { release: await slots.passes.acquire(itself), lockMs: null };
  const line = lineOfWork(whose.line);
  const release = line === 'transactions' ? await slots.transactions.acquire(whose) : () => {};
  return { release, lockMs: lockMs[line], patienceMs: patienceMs[line] };
}

export type Run = (params: unknown, caller: EdgeCaller) => Promise<unknown>;

/** The way in of an edge's calls: what a call uses counts as its node's, from before it is read. Leases and greetings wait for no other call. */
export function doorOf(slots: WardenSlots, caller: EdgeCaller, tell: (what: string) => void = () => {}): Door<EdgeCaller> {
  const claim = claimOf(caller);
  return {
    within: ({ op }, serve) => {
      const line = lineOf(op);
      const places = line === 'transactions' ? slots.calls : slots[line];
      return places.within(claim, () => onBehalfOf({ ...claim, line }, () => serve(caller)));
    },
    mayErr: (what) => {
      tell(what);
      return takeFault(slots.faults, claim);
    },
  };
}
