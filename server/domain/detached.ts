// Owns: the ways in which work may continue without being awaited where it was started. Any other promise that is left
// alone fails test/house/floating.
// Must never: swallow a failure without naming its owner. An unhandled rejection ends the whole process, for everybody
// whom the process serves (T-34).

/**
 * Lets `work` continue by itself. `onFailure` decides what happens when it fails; an exception that `onFailure` throws
 * is a defect and ends the process.
 */
export function detach(work: PromiseLike<unknown> | undefined, onFailure: (error: unknown) => void): void {
  // The promise that `then` returns is left alone on purpose: when `onFailure` throws, that rejection must be
  // unhandled.
  Promise.resolve(work).then(undefined, onFailure);
}

/**
 * Returns a promise that is kept for a later `await`, which still sees its failure. Without this, Node.js would end the
 * process when the promise fails before anybody awaits it.
 */
export function held<T>(work: Promise<T>): Promise<T> {
  work.then(undefined, () => {});
  return work;
}

/**
 * The failure handler for work that cannot fail: a failure is a defect. It is thrown, and the role ends with a log
 * message, because its state is unknown.
 */
export function unexpected(error: unknown): never {
  throw error;
}

/**
 * The failure handler for work whose failure is reported elsewhere or has no meaning, such as a call on a connection
 * that is being closed.
 */
export function givenUp(): void {}
