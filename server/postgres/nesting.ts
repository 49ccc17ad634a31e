// Owns: which transactions' work is running here, and what is still to be said when one of them is undone.
// Must never: let a transaction begin inside the work of another one of its pool. It would wait for a place while it holds one; so would others, and none would get it (T-35).
import { AsyncLocalStorage } from 'node:async_hooks';
import { CofferdamError } from '../domain/errors.ts';
import type { Transaction } from './database.ts';

/** Has a transaction of its own. What it returns is thrown in the place of the error that undid the first one; nothing: that error stays. */
export type Afterwards = (tx: Transaction) => Promise<unknown>;

/** One transaction's work, from its first statement to its end. `around`: that of another pool, in which this one began. */
type Work = { readonly pool: object; readonly around: Work | undefined; readonly afterwards: Afterwards[]; isOver: boolean };
const running = new AsyncLocalStorage<Work>();

/** One refusal has one alarm. Work that meets more of them goes on after a refusal, and is a defect. */
const afterwardsMax = 4;

/** The transaction of this pool in whose work we are; what goes on by itself after its end is in none. */
function workOf(pool: object): Work | undefined {
  for (let work = running.getStore(); work !== undefined; work = work.around) if (work.pool === pool && !work.isOver) return work;
  return undefined;
}

/** Throws `bug` inside the work of a transaction of this pool. */
export function requireOutermost(pool: object): void {
  if (workOf(pool) !== undefined)
    throw new CofferdamError('bug', 'a transaction began inside another one: it would wait for a place while it holds one');
}

/** Leaves something to be said when the transaction in whose work we are is undone. False: we are in none of this pool. */
export function leaveForAfterwards(pool: object, what: Afterwards): boolean {
  const work = workOf(pool);
  if (work === undefined) return false;
  if (work.afterwards.length >= afterwardsMax) throw new CofferdamError('bug', 'too much to say after one transaction');
  work.afterwards.push(what);
  return true;
}

/**
 * Runs the work of one transaction, and what it left to be said when it is undone: then its place is given back already, and each has a transaction
 * of its own. Work that left something is refused: its transaction is not committed, whatever it returns.
 */
export async function asWork<T>(
  pool: object,
  transaction: (requireUnrefused: () => void) => Promise<T>,
  say: (what: Afterwards) => Promise<unknown>,
): Promise<T> {
  const work: Work = { pool, around: running.getStore(), afterwards: [], isOver: false };
  const requireUnrefused = (): void => {
    if (work.afterwards.length > 0) throw new CofferdamError('bug', 'work that was refused went on');
  };
  try {
    return await running.run(work, () => transaction(requireUnrefused));
  } catch (thrown) {
    work.isOver = true;
    let error = thrown;
    for (const what of work.afterwards) {
      const instead = await say(what);
      if (instead instanceof Error) error = instead;
    }
    throw error;
  } finally {
    work.isOver = true;
  }
}
