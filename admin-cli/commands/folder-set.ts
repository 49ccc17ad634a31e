import { changing } from '../changing.ts';
import { type Command, type Given, positional } from '../command.ts';

/** Returns the number of days or reads that an option gives, null for `none`, and undefined when it was not given. */
function numberOrNone(given: Given, name: string): number | null | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text === 'none') return null;
  if (!/^\d{1,5}$/.test(text)) throw new RangeError(`--${name} takes a whole number or none, not "${text}"`);
  return Number(text);
}

export const folderSet: Command = {
  words: ['folder', 'set'],
  positionals: ['CUSTOMER', 'FOLDER'],
  options: [
    { name: 'window-days', value: 'N', help: 'a version leaves its folder so many days after publication (or none)' },
    { name: 'reads', value: 'N', help: 'or after so many complete reads by the customer (or none)' },
    { name: 'retention-days', value: 'N', help: 'its key is destroyed so many days after publication (or none)' },
    { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true },
  ],
  help: 'Sets how long versions stay visible in a folder and how long their keys are kept. Longer windows, more reads and less retention need a second operator.',
  example: 'cofferctl folder set acme collect --window-days 14 --reads 3 --retention-days 90 --reason "agreed with the bank"',
  changes: true,
  run: async (client, given) => {
    const [windowDays, readsMax, retentionDays] = [
      numberOrNone(given, 'window-days'),
      numberOrNone(given, 'reads'),
      numberOrNone(given, 'retention-days'),
    ];
    if (windowDays === undefined && readsMax === undefined && retentionDays === undefined)
      throw new RangeError('name --window-days, --reads or --retention-days');
    return changing(
      client,
      given,
      'folder.set',
      {
        customer: positional(given, 0),
        folder: positional(given, 1),
        reason: given.options.reason ?? '',
        ...(windowDays === undefined ? {} : { windowDays }),
        ...(readsMax === undefined ? {} : { readsMax }),
        ...(retentionDays === undefined ? {} : { retentionDays }),
      },
      (data) => {
        const days = (value: number | null, none: string): string => (value === null ? none : `${value} days`);
        return `versions stay visible ${days(data.windowDays, 'until they are removed')}${data.readsMax === null ? '' : ` or for ${data.readsMax} complete reads`}; keys are kept ${days(data.retentionDays, 'for ever')}\n`;
      },
    );
  },
};
