import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber } from '../command.ts';
import { nextLine } from '../next-line.ts';
import { table, when } from '../output.ts';

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
    throw new RangeError('--standing takes days and times such as "mo-fr 02:00-04:00" or "sa,su 22:00-04:00 Europe/Berlin"');
  return { days, opens: match[2] ?? '', closes: match[3] ?? '', zone: match[4] ?? 'UTC' };
}

export const windowOpen: Command = {
  words: ['window', 'open'],
  positionals: ['ACCOUNT'],
  options: [
    { name: 'hours', value: 'N', help: '1 to 24' },
    { name: 'standing', value: 'SCHEDULE', help: 'instead of --hours: every week, such as "mo-fr 02:00-04:00 Europe/Berlin"' },
    { name: 'name', value: 'NAME', help: 'of the standing window' },
    { name: 'days', value: 'N', help: 'how long the standing window is there, at most 90' },
    { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true },
  ],
  help: 'Opens an activation window: the machine account may log in with its key alone until it closes. Standing ones are exceptions that `report exceptions` shows.',
  example: 'cofferctl window open acme-batch --hours 8 --reason "nightly payment run"',
  changes: true,
  run: async (client, given) => {
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
};

export const windowClose: Command = {
  words: ['window', 'close'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'name', value: 'NAME', help: 'only this standing window' }],
  help: 'Closes the windows of a machine account at once, and ends the sessions that they opened.',
  example: 'cofferctl window close acme-batch',
  changes: true,
  run: async (client, given) => {
    const account = positional(given, 0);
    const { name } = given.options;
    return changing(
      client,
      given,
      'window.close',
      { account, ...(name === undefined ? {} : { name }) },
      (data) => `${data.closed} open windows of ${account} closed; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

const windowTable = (windows: Result<OperatorToAdmin, 'window.list'>['windows'], empty: string): string =>
  table({
    columns: ['ACCOUNT', 'NAME', 'SCHEDULE', 'FROM', 'UNTIL', 'OPEN NOW', 'OPENED BY', 'REASON'],
    rows: windows.map((w) => [w.account, w.name, w.schedule, when(w.opensAt), when(w.closesAt), w.isOpenNow, w.openedBy, w.reason]),
    empty,
  });

export const windowList: Command = {
  words: ['window', 'list'],
  positionals: [],
  options: [{ name: 'account', value: 'NAME', help: 'only of this account' }],
  help: 'Lists activation windows: open ones, and standing ones with their schedules.',
  example: 'cofferctl window list',
  run: async (client, given) => {
    const { account } = given.options;
    const data = await client.call('window.list', account === undefined ? {} : { account });
    return { data, text: windowTable(data.windows, 'no windows') };
  },
};

export const reportExceptions: Command = {
  words: ['report', 'exceptions'],
  positionals: [],
  options: [],
  help: 'Lists exceptions to the policy: machine accounts that log in with their key alone, every week, and until when.',
  example: 'cofferctl report exceptions',
  run: async (client) => {
    const data = await client.call('report.exceptions', {});
    return { data, text: windowTable(data.exceptions, 'no exceptions') };
  },
};
