// Owns: what a role says when a failure reached nobody: one line, and its end.
// Must never: go on. What it was doing was left half done, and which half nobody knows; the supervisor starts a fresh one.
import type { Logger } from './logger.ts';

/** Tests look for it: a role that said this has a defect, whatever else went well. */
export const unownedFailure = 'a failure that nobody owned: this process ends';

/** An exception that nobody catches, a promise that nobody owns. Node would end the process as well, with a stack that no log collector reads. */
export function endOnUnownedFailure(log: Pick<Logger, 'fatal'>): void {
  process.on('uncaughtException', (error) => {
    try {
      log.fatal({ err: error }, unownedFailure);
    } finally {
      process.exit(1);
    }
  });
}
