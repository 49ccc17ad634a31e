// Owns: what a test of one trial imports instead of tap's root: the same things, of this trial alone.
import { current } from './host.mjs';

export const t = current();
/** A trial ends at its first failure: what follows of it is nobody's. */
export const test = (...given) => {
  const done = t.test(...given);
  done.catch(() => {});
  return done;
};
