// Owns: the locks of one connection's transaction, in the order in which it takes them, compared with the list of
// `server/postgres/lock-order.ts`.
import { lockExceptions, lockOrder } from '../../server/postgres/lock-order.ts';

/** `is` tells a lock from others of the same name. A lock that the transaction holds already is not taken again. */
export type TakenLock = { readonly on: string; readonly is: string; readonly waits: boolean };

const rankOf = (on: string): number => lockOrder.findIndex((one) => one.on === on);
const isExcepted = (held: string, taken: string): boolean =>
  lockExceptions.some((one) => one.held === held && one.taken === taken);

const isAmong = (locks: readonly TakenLock[], lock: TakenLock): boolean =>
  locks.some((one) => one.on === lock.on && one.is === lock.is);

/** What is wrong with taking a lock while others are held, in words; undefined when nothing is. */
function faultOf(held: readonly TakenLock[], taken: TakenLock): string | undefined {
  const rank = rankOf(taken.on);
  if (rank < 0) return `${taken.on} is not in the list`;
  const below = taken.waits ? held.find((one) => rankOf(one.on) > rank && !isExcepted(one.on, taken.on)) : undefined;
  return below && `${taken.on} after ${below.on}`;
}

/** The statement with which a test that carries out several operations in one transaction begins the next one. */
export const nextOperation = '/* the next operation begins */ select 1';

export class LockSequence {
  #held: TakenLock[] = [];
  /** What operations before this one have taken, as if they had been transactions of their own. */
  #earlier: TakenLock[] = [];
  #savepoints: { readonly name: string; readonly count: number }[] = [];

  /** A transaction has begun or is over. */
  clear(): void {
    this.#held = [];
    this.#earlier = [];
    this.#savepoints = [];
  }

  /** What is held stays held, and says nothing about the order in which the next operation takes its own. */
  startOver(): void {
    this.#earlier.push(...this.#held);
    this.#held = [];
    this.#savepoints = [];
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, count: this.#held.length });
  }

  /** The locks that were taken since the savepoint are released. The savepoint stays. */
  rollbackTo(name: string): void {
    const at = this.#savepoints.findLastIndex((one) => one.name === name);
    if (at < 0) return;
    this.#savepoints.length = at + 1;
    this.#held.length = this.#savepoints[at]?.count ?? 0;
  }

  /** What is wrong with taking this lock now, in words; undefined when nothing is. */
  faultOf(lock: TakenLock): string | undefined {
    return isAmong(this.#held, lock) || isAmong(this.#earlier, lock) ? undefined : faultOf(this.#held, lock);
  }

  /** Takes a lock, whether it is right or wrong. */
  take(lock: TakenLock): void {
    if (!isAmong(this.#earlier, lock)) this.#held.push(lock);
  }
}
