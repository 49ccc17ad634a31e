// Owns: how far back the entries have to be proved on which an answer rests, and proving them in the answer's snapshot.
// Must never: take less than the answer reads.
import type { Snapshot } from '../../postgres/snapshot.ts';
import { type Proving, proveRecord } from '../ledger/proving.ts';
import { earliestOpening } from '../ledger/range-queries.ts';
import type { Answered } from './scope.ts';
import { beginOf, goBySessions } from './selection-queries.ts';

/**
 * Returns the instant from which on everything is that the answer rests on; null: it can rest on everything. A session
 * of the window was opened within its longest life before the window, or has an entry in it that says which session it
 * was.
 */
async function beginningOf(
  snapshot: Snapshot,
  { chosen, first, isEverything }: Answered,
  sessionLifeMs: number,
): Promise<string | null> {
  const { since } = chosen;
  const begin = beginOf(chosen);
  if (since === null || begin === null || isEverything) return null;
  const alive = new Date(Date.parse(since) - sessionLifeMs).toISOString();
  const opened = (await earliestOpening(snapshot, since)) ?? since;
  return [alive, opened, first, begin].map((one) => new Date(one).toISOString()).sort()[0] ?? null;
}

/** Proves in its own snapshot what an answer rests on. Throws as `proveRecord` does. */
export async function proveAnswer(
  snapshot: Snapshot,
  answered: Answered,
  sessionLifeMs: number,
  onRows: (count: number) => void,
): Promise<Proving> {
  // What the steps before made the planner do was for their own statements.
  await goBySessions(snapshot, null);
  const begin = await beginningOf(snapshot, answered, sessionLifeMs);
  const { since } = answered.chosen;
  return proveRecord(snapshot, { begin, since, oldestOnline: answered.oldestOnline }, onRows);
}
