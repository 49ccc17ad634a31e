// Owns: `cofferctl window open`.
import { nextLine } from '../terminal/next-line.ts';
import { when } from '../terminal/output.ts';
import { changing, changingVerb, reasonOption } from '../verb/change.ts';
import { positional, wholeNumber } from '../verb/verb.ts';

const weekdays = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su'] as const;

/** Parses `mo-fr,su 22:00-04:00 Europe/Berlin`: days, times of day, and a time zone (UTC when it is left out). */
function schedule(text: string): { days: number[]; opens: string; closes: string; zone: string } {
  const match = /^([a-z,-]+) (\d\d:\d\d)-(\d\d:\d\d)(?: ([A-Za-z][A-Za-z0-9_+/-]{0,63}))?$/.exec(text);
  const dayOf = (name: string | undefined): number => (weekdays as readonly (string | undefined)[]).indexOf(name) + 1;
  const days = (match?.[1] ?? '').split(',').flatMap((part) => {
    const [first, last] = part.split('-').map(dayOf);
    if (first === undefined || first < 1 || last === 0 || (last !== undefined && last < first)) return [0];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  });
  if (match === null || days.includes(0))
    throw new RangeError(
      '--standing takes days and times such as "mo-fr 02:00-04:00" or "sa,su 22:00-04:00 Europe/Berlin"',
    );
  return { days, opens: match[2] ?? '', closes: match[3] ?? '', zone: match[4] ?? 'UTC' };
}

export const windowOpen = changingVerb(
  {
    words: ['window', 'open'],
    positionals: ['ACCOUNT'],
    options: [
      { name: 'hours', value: 'N', help: '1 to 24' },
      {
        name: 'standing',
        value: 'SCHEDULE',
        help: 'instead of --hours: every week, such as "mo-fr 02:00-04:00 Europe/Berlin"',
      },
      { name: 'name', value: 'NAME', help: 'of the standing window' },
      { name: 'days', value: 'N', help: 'how long the standing window is there, at most 90' },
      reasonOption(),
    ],
    help: 'Opens an activation window: the machine account may log in with its key alone until it closes. Standing ones are exceptions that `report exceptions` shows.',
    example: 'cofferctl window open acme-batch --hours 8 --reason "nightly payment run"',
  },
  ['window.open', 'window.open-standing'],
  async (client, given) => {
    const account = positional(given, 0);
    const { standing, name, reason = '' } = given.options;
    const hours = wholeNumber(given, 'hours');
    const forDays = wholeNumber(given, 'days');
    if ((hours === undefined) === (standing === undefined)) throw new RangeError('give either --hours or --standing');
    if (standing === undefined) {
      if (name !== undefined || forDays !== undefined) throw new RangeError('--name and --days belong to --standing');
      return changing(
        client,
        given,
        'window.open',
        { account, hours: hours ?? 0, reason },
        (data) =>
          `window of ${account} is open until ${when(data.closesAt)}\nclose it with: ${nextLine(given, `window close ${account} --execute`)}\n`,
      );
    }
    if (name === undefined || forDays === undefined) throw new RangeError('a standing window needs --name and --days');
    return changing(
      client,
      given,
      'window.open-standing',
      { account, schedule: { name, forDays, ...schedule(standing) }, reason },
      (data) =>
        `standing window ${name} of ${account} until ${when(data.validUntil)}\nclose it with: ${nextLine(given, `window close ${account} --name ${name} --execute`)}\n`,
    );
  },
);
