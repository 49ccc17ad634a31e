// Owns: the two ways in which work may go on without being awaited where it begins. Whatever else leaves a promise alone fails test/house/floating.
// Must never: swallow a failure without saying whose it is. A rejection that nobody takes ends the whole process, for everybody it serves (T-34).

/** Work that goes on by itself: `onFailure` owns what becomes of it when it fails. What that throws is a defect, and ends the process. */
export function detach(work: PromiseLike<unknown> | undefined, onFailure: (error: unknown) => void): void {
  // An owner that fails is nobody's: this one rejection is meant to be unhandled.
  Promise.resolve(work).then(undefined, onFailure);
}

/**
 * A promise that is kept for whoever awaits it later, and fails for them. Until then its failure is nobody's emergency: without this, Node ends the
 * process when it comes before they do.
 */
export function held<T>(work: Promise<T>): Promise<T> {
  work.then(undefined, () => {});
  return work;
}

/** The failure of work that cannot fail: a defect. The role says so and ends; what state it is in, nobody knows. */
export function unexpected(error: unknown): never {
  throw error;
}

/** The failure is said elsewhere, or means nothing: a call on something that is being given up. */
export function givenUp(): void {}
