// Owns: the one hook by which a failure without an owner, in any role that a test starts, fails that test: what the
// role logged last.
import { unownedFailure } from '../../server/observability/last-word.ts';

/** The lines of a role's log in which it says so. */
export const unownedIn = (log: string): readonly string[] =>
  log.split('\n').filter((line) => line.includes(unownedFailure));

/**
 * To be called when the processes behind a log have ended. `test/run.ts` counts what it prints as a failure of the
 * file.
 */
export function failOnUnowned(log: string): void {
  const lines = unownedIn(log);
  if (lines.length === 0) return;
  process.stderr.write(`${unownedMark}\n${lines.join('\n')}\n`);
  process.exitCode = 1;
}

const unownedMark = 'A ROLE ENDED BY A FAILURE THAT NOBODY OWNED';
