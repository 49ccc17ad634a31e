// Owns: the one way to wait for what somebody else must do (a process that ends, a socket that closes): with a bound, and a sentence for when it is over.
// Must never: wait longer than it was told, or end what it waited for: the next step is its caller's.
import { CofferdamError } from './errors.ts';

/** Sockets that were destroyed close at once, and their server with them. Milliseconds. */
export const closedMs = 5000;

/** What `work` gives; rejects with `unavailable` and a sentence that says for what it waited when `withinMs` are over before. */
export async function bounded<T>(withinMs: number, what: string, work: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CofferdamError('unavailable', `waited ${withinMs} ms for ${what}`)), withinMs);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same where the bound is no failure: whether it happened in time. */
export async function happens(withinMs: number, work: PromiseLike<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs);
  });
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}
