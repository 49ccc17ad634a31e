// Owns: how long a transaction waits for locks, and how often it is tried again.
// Must never: let one transaction hold a place in the pool while it waits for somebody who waits for a place.

/**
 * A transaction's place in the pool. `lockMs` is how long the transaction may wait for one lock; null means as long as
 * a statement may take. `patienceMs` is for how long a transaction that failed because of a lock is tried again, with
 * short waits and without holding a place in between; 0 means that it is not tried again.
 */
export type TransactionPlace = {
  readonly release: () => void;
  readonly lockMs: number | null;
  readonly patienceMs?: number;
};
/** `count`: of the attempts so far. */
export type Tries = { count: number; patienceMs: number };

/** The greatest number of attempts of a transaction that ends in deadlocks. */
export const deadlockTriesMax = 5;
/**
 * The later attempts of a transaction wait only this long for a lock: between its attempts it queues for a place and
 * not for the lock.
 */
const lockAgainMs = 300;
/** The average pause between two attempts. */
export const lockPauseMs = 500;

/** Returns the limit of one wait for a lock, in milliseconds, in attempt number `count`; null: that of a statement. */
export const lockMsOf = (place: TransactionPlace | undefined, count: number): number | null =>
  place === undefined || place.lockMs === null
    ? null
    : count === 1
      ? place.lockMs
      : Math.min(place.lockMs, lockAgainMs);
