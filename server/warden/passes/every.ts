// Owns: work that is done at regular intervals or after notices, and its orderly end.

import { held } from '../../domain/detached.ts';
import type { Logger } from '../../observability/logger.ts';

/**
 * Runs `work` every `ms` milliseconds, and never twice at the same time: a turn that falls into a running pass is left
 * out. A pass that fails is logged. `stop` waits for a running pass.
 */
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
 * Runs `work` whenever others ask for it by notices. At most one run is under way; everybody who asks meanwhile shares
 * one further run, which begins at the earliest `pauseMs` after the previous run ended. Whoever may send notices can
 * therefore cause no more than one run at a time, however often he sends them.
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
