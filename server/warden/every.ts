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

/**
 * Work that others ask for by notices: one run under way, and one behind it for all who asked meanwhile, `pauseMs` after it at the earliest. Whoever may
 * notify asks as often as he likes, and costs one run at a time.
 */
export function joined(
  work: () => Promise<void>,
  pauseMs: number,
  onFailure: (error: unknown) => void,
): { wake(): void; stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isBusy = false;
  let isWanted = false;
  let isStopped = false;
  const wake = (): void => {
    isWanted = true;
    if (isBusy || isStopped) return;
    isBusy = true;
    isWanted = false;
    running = held(work().catch(onFailure).finally(rest));
  };
  const rest = (): void => {
    timer = setTimeout(() => {
      isBusy = false;
      if (isWanted) wake();
    }, pauseMs);
    timer.unref();
  };
  return {
    wake,
    stop: async () => {
      isStopped = true;
      await running;
      clearTimeout(timer);
    },
  };
}
