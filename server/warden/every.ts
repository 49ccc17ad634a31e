// Owns: work that is done again and again, and its orderly end.

import { held } from '../domain/detached.ts';
import type { Logger } from '../observability/logger.ts';

/** Runs `work` again and again, never twice at once; `stop` waits for a running pass. */
export function every(ms: number, work: () => Promise<void>, log: Logger): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    running = held(
      work()
        .catch((error: unknown) => log.warn({ err: error }, 'a regular pass failed; it is tried again'))
        .finally(() => (isBusy = false)),
    );
  }, ms);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

/** A pass that anybody may ask for takes one place of many, and no more often than this. */
const joinedEveryMs = 100;

/** Runs `work` when it is asked for: one pass under way and one behind it, however often it is asked. `stop` waits for what is under way. */
export function joined(work: () => Promise<void>, onFailure: (error: unknown) => void): { ask(): void; stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  let isWanted = false;
  let isStopped = false;
  const passes = async (): Promise<void> => {
    while (isWanted && !isStopped) {
      isWanted = false;
      await work().catch(onFailure);
      await new Promise((resolve) => setTimeout(resolve, joinedEveryMs));
    }
    running = undefined;
  };
  return {
    ask: () => {
      isWanted = true;
      if (!isStopped) running ??= held(passes());
    },
    stop: async () => {
      isStopped = true;
      await running;
    },
  };
}
