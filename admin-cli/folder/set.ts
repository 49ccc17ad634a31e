// Owns: `cofferctl folder set`.
import { change } from '../verb/change.ts';
import { type Given, only, positional } from '../verb/verb.ts';

/** Returns the number of days or reads that an option gives, null for `none`, and undefined when it was not given. */
function numberOrNone(given: Given, name: string): number | null | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text === 'none') return null;
  if (!/^\d{1,5}$/.test(text)) throw new RangeError(`--${name} takes a whole number or none, not "${text}"`);
  return Number(text);
}

export const folderSet = change({
  words: ['folder', 'set'],
  positionals: ['CUSTOMER', 'FOLDER'],
  options: [
    { name: 'window-days', value: 'N', help: 'a version leaves its folder so many days after publication (or none)' },
    { name: 'reads', value: 'N', help: 'or after so many complete reads by the customer (or none)' },
    { name: 'retention-days', value: 'N', help: 'its key is destroyed so many days after publication (or none)' },
  ],
  help: 'Sets how long versions stay visible in a folder and how long their keys are kept. Longer windows, more reads and less retention need a second operator.',
  example:
    'cofferctl folder set acme collect --window-days 14 --reads 3 --retention-days 90 --reason "agreed with the bank"',
  operation: 'folder.set',
  params: (given) => {
    const limits = only({
      windowDays: numberOrNone(given, 'window-days'),
      readsMax: numberOrNone(given, 'reads'),
      retentionDays: numberOrNone(given, 'retention-days'),
    });
    if (Object.keys(limits).length === 0) throw new RangeError('name --window-days, --reads or --retention-days');
    return { customer: positional(given, 0), folder: positional(given, 1), ...limits };
  },
  told: ({ windowDays, readsMax, retentionDays }) => {
    const days = (value: number | null, none: string): string => (value === null ? none : `${value} days`);
    const reads = readsMax === null ? '' : ` or for ${readsMax} complete reads`;
    return `versions stay visible ${days(windowDays, 'until they are removed')}${reads}; keys are kept ${days(retentionDays, 'for ever')}\n`;
  },
});
