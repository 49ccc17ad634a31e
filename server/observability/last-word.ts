// Owns: what a role does when a failure reached no handler: it writes one line and ends.
// Must never: continue. The work was left half done, and nobody knows which half. The supervisor starts a new process.
import type { Logger } from './logger.ts';

/** Tests search for this text: a role that wrote it has a defect, whatever else went well. */
export const unownedFailure = 'an error that nothing handled: this process ends';

/**
 * Handles exceptions that nobody catches, and rejections that nobody handles. Node.js would end the process too, but
 * with a stack trace that no log collector reads.
 */
export function endOnUnownedFailure(log: Pick<Logger, 'fatal'>): void {
  process.on('uncaughtException', (error) => {
    try {
      log.fatal({ err: error }, unownedFailure);
    } finally {
      process.exit(1);
    }
  });
}
