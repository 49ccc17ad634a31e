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
