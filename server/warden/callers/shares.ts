// Owns: which line of the table of shares a call and its transactions use, and for which node and plane they count
// (T-35).
// Must never: let an edge's call take a connection that is kept for leases, greetings (`node.hello`) or the warden's
// own passes.
import type { WardenShares } from '../../config/shares.ts';
import type { Claim } from '../../domain/share.ts';
import type { TransactionPlace } from '../../postgres/lock-patience.ts';
import { type Door, takeFault } from '../../rpc/door.ts';
import { claimant, onBehalfOf, type Slots, slotsOf } from '../../rpc/slots.ts';
import type { EdgeCaller } from './edge-caller.ts';

export type WardenSlots = { readonly [L in keyof WardenShares]: Slots };
export const wardenSlots = (shares: WardenShares): WardenSlots => slotsOf(shares);

export const claimOf = ({ node, plane }: EdgeCaller): Claim => ({ holder: node, group: plane });
/** The claim for work that no edge asked for: the warden's own passes and operators' commands. */
const itself: Claim = { holder: 'warden', group: 'warden' };

type Line = 'leases' | 'greetings' | 'transactions';
/**
 * Operations that an edge must be able to carry out whatever else it asks. Each of them has database connections of its
 * own.
 */
const lines: Readonly<Record<string, Line>> = { 'lease.renew': 'leases', 'node.hello': 'greetings' };
const lineOf = (operation: string): Line => lines[operation] ?? 'transactions';

/**
 * How long a transaction of an edge's call may wait for a row lock, in milliseconds. A call must not hold a connection
 * for longer than this while it waits.
 */
const lockMs: Readonly<Record<Line, number>> = { leases: 1000, greetings: 5000, transactions: 3000 };
/**
 * How long a transaction that was undone because of a lock, for example one that an operator's command holds, is
 * retried, in milliseconds. The time is shorter than an edge waits for an answer. A lease is not retried, because a
 * late lease is useless.
 */
const patienceMs: Readonly<Record<Line, number>> = { leases: 0, greetings: 0, transactions: 20_000 };

const lineOfWork = (line: string | undefined): Line =>
  line === 'leases' || line === 'greetings' ? line : 'transactions';

/**
 * Returns the place in the pool for a transaction of the node or plane on whose behalf the caller works. A lease or a
 * greeting took its place when the call began, and has one transaction at a time; so it takes none here.
 */
export async function placeFor(slots: WardenSlots): Promise<TransactionPlace> {
  const whose = claimant();
  if (whose === undefined) return { release: await slots.passes.acquire(itself), lockMs: null };
  const line = lineOfWork(whose.line);
  const release = line === 'transactions' ? await slots.transactions.acquire(whose) : () => {};
  return { release, lockMs: lockMs[line], patienceMs: patienceMs[line] };
}

/** What serves one call of an edge. */
export type Handler = (params: unknown, caller: EdgeCaller) => Promise<unknown>;

/**
 * Returns the door through which the calls of one edge enter. What a call uses counts for its node, from before the
 * call is read. Leases and greetings do not wait for other calls. `tell` is called with each message of a wrong form.
 */
export function doorOf(
  slots: WardenSlots,
  caller: EdgeCaller,
  tell: (what: string) => void = () => {},
): Door<EdgeCaller> {
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
