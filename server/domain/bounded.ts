// Owns: the one way to wait for something that somebody else must do (a process that ends, a socket that closes): with
// a time limit, and an error text that says what was waited for.
// Must never: wait longer than its limit, or end what it waited for. What happens next is the caller's decision.
import { CofferdamError } from './errors.ts';

/**
 * The time limit for closing a server whose sockets were destroyed, in milliseconds. Destroyed sockets close at once,
 * and the server with them.
 */
export const closedMs = 5000;

/**
 * Returns what `work` resolves to. Rejects with `unavailable`, and a text that names `what`, when `withinMs`
 * milliseconds pass first.
 */
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

/**
 * Returns whether `work` resolves within `withinMs` milliseconds, for waits in which running out of time is no failure.
 * Rejects when `work` rejects first.
 */
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
