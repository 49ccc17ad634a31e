// Owns: what an answer about an incident, and the slices beside it, do not reach, in sentences that letters may hold.
// Must never: let an answer that did not see everything read like one that did.
import { CofferdamError } from '../../server/domain/errors.ts';
import type { IncidentSummary } from '../../server/rpc/operators/incident.ts';
import { lossText, type SliceReport } from '../../verifier/index.js';
import { when } from '../terminal/output.ts';
import type { Given, Option } from '../verb/verb.ts';

export const wholeOption: Option = {
  name: 'not-complete',
  value: null,
  help: 'goes on although the answer is not complete, the record is frozen or entries are odd, and the letters say so',
};

/** Returns a sentence for everything that limits an answer. */
export const limitsOf = ({ record, totals }: IncidentSummary): readonly string[] => [
  ...(record.completeFrom === null
    ? []
    : [`What the record holds from before ${when(record.completeFrom)} (UTC) is in archives and was not looked at.`]),
  ...(record.frozen === null ? [] : ['The record was frozen when it was asked: it may not be the whole record.']),
  ...(totals.oddEntries === 0
    ? []
    : [
        `Of the entries that were looked at, ${totals.oddEntries} state a count in a form in which our gateway writes none: numbers can be higher.`,
      ]),
];

/** Returns a sentence for everything that the record lost of the window of a slice. */
export const lossesOf = ({ lost }: SliceReport): readonly string[] =>
  lost
    .filter(({ isInWindow }) => isInWindow)
    .map((loss) => `The record lost entries of that time, and of those nothing can be said: ${lossText(loss)}.`);

export const notCompleteText = (limits: readonly string[]): string =>
  limits.map((one) => `NOT COMPLETE: ${one}\n`).join('');

/** Throws `conflict` for an answer that is not complete, unless it was said that this is meant. */
export function requireWhole(summary: IncidentSummary, given: Given): void {
  const limits = limitsOf(summary);
  if (limits.length === 0 || given.options[wholeOption.name] !== undefined) return;
  const { frozen } = summary.record;
  const why = frozen === null ? '' : ` (${frozen})`;
  throw new CofferdamError(
    'conflict',
    `the answer is not complete. ${limits.join(' ')}${why} By it nobody can be told that nothing else happened; when you mean it, say --${wholeOption.name}, and the letters will say it`,
  );
}
