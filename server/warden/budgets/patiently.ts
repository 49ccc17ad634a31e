// Owns: the patience of batched calls that hold budgets while they wait for another lock. The database gives up such a
// wait after two seconds, so that everybody else is charged in between.
// Must never: repeat a call of which anything may have happened.
import { lockNotAvailable, sqlState } from '../../postgres/database-errors.ts';

/** How long a call waits for a row that somebody else has locked, in milliseconds. */
const patienceMs = 15_000;
/** The first pause before it is tried again, in milliseconds. */
const firstPauseMs = 250;

/**
 * Asks again for as long as a lock is held by somebody else, which is no longer than an edge waits for an answer.
 * Nothing has happened then.
 */
export async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + patienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs *= 2)
    try {
      return await ask();
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable || performance.now() + pauseMs > until) throw error;
      // While the call waits it holds the budgets. In the pauses, which grow, everybody else is charged.
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
}
