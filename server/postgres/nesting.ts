// Owns: which transaction's work is running in the present asynchronous context, and what still has to be reported when
// that transaction is rolled back.
// Must never: let a transaction begin inside the work of another transaction of the same pool. It would wait for a
// place while it holds one; others would do the same, and none would get one (T-35).
import { AsyncLocalStorage } from 'node:async_hooks';
import { CofferdamError } from '../domain/errors.ts';
import type { Transaction } from './database.ts';

/**
 * Work that runs in a transaction of its own after another was rolled back. When it returns an error, that error is
 * thrown in the place of the one that caused the rollback; otherwise that one stays.
 */
export type Afterwards = (tx: Transaction) => Promise<unknown>;

/**
 * The work of one transaction, from its first statement to its end. `around` is the work of another pool's transaction,
 * inside which this one began.
 */
type Work = {
  readonly pool: object;
  readonly around: Work | undefined;
  readonly afterwards: Afterwards[];
  isOver: boolean;
};
const running = new AsyncLocalStorage<Work>();

/** A refusal raises one alert. Work that leaves more than this continued after it was refused, and that is a defect. */
const afterwardsMax = 4;

/**
 * Returns the transaction of this pool inside whose work the caller runs. Code that continues by itself after the end
 * of a transaction is in none.
 */
function workOf(pool: object): Work | undefined {
  for (let work = running.getStore(); work !== undefined; work = work.around)
    if (work.pool === pool && !work.isOver) return work;
  return undefined;
}

/** Throws `bug` when the caller runs inside the work of a transaction of this pool. */
export function requireOutermost(pool: object): void {
  if (workOf(pool) !== undefined)
    throw new CofferdamError(
      'bug',
      'a transaction began inside another one: it would wait for a place while it holds one',
    );
}

/**
 * Leaves something to be done when the transaction inside whose work the caller runs is rolled back. Returns false when
 * the caller is inside none of this pool.
 */
export function leaveForAfterwards(pool: object, what: Afterwards): boolean {
  const work = workOf(pool);
  if (work === undefined) return false;
  if (work.afterwards.length >= afterwardsMax)
    throw new CofferdamError('bug', 'too many reports are left for after the transaction');
  work.afterwards.push(what);
  return true;
}

/**
 * Runs the work of one transaction and, when the transaction was rolled back, what its work left to be done. By then
 * its place is returned, and each piece has a transaction of its own. Work that left something counts as refused: its
 * transaction is not committed, whatever the work returns.
 */
export async function asWork<T>(
  pool: object,
  transaction: (requireUnrefused: () => void) => Promise<T>,
  say: (what: Afterwards) => Promise<unknown>,
): Promise<T> {
  const work: Work = { pool, around: running.getStore(), afterwards: [], isOver: false };
  const requireUnrefused = (): void => {
    if (work.afterwards.length > 0) throw new CofferdamError('bug', 'work continued after it was refused');
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
