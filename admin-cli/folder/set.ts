// Owns: `cofferctl folder set`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';
import { ruleOptions, rulesOf, rulesText } from './rules.ts';

export const folderSet = change({
  words: ['folder', 'set'],
  positionals: ['CUSTOMER', 'FOLDER'],
  options: ruleOptions,
  help: 'Sets when files of a folder are delivered, how long versions stay visible, and how long their keys are kept. Whatever lets more through, or destroys sooner, needs a second operator.',
  example:
    'cofferctl folder set acme collect --window-days 14 --reads 3 --retention-days 90 --reason "agreed with the bank"',
  operation: 'folder.set',
  params: (given) => {
    const rules = rulesOf(given);
    if (Object.keys(rules).length === 0)
      throw new RangeError(`name what is to be set: ${ruleOptions.map(({ name }) => `--${name}`).join(', ')}`);
    return { customer: positional(given, 0), folder: positional(given, 1), ...rules };
  },
  told: ({ sessionsEnded, held, settling, ...rules }) =>
    [
      rulesText(rules),
      ...(held > 0 ? [`${held} complete files wait for a marker: each needs one with the ending ${rules.marker}`] : []),
      ...(settling > 0 ? [`${settling} files that waited for a marker settle now`] : []),
      `${sessionsEnded} sessions ended\n`,
    ].join('; '),
});
