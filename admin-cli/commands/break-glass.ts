import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber } from '../command.ts';
import { table, when } from '../output.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const breakGlassPrepare: Command = {
  words: ['break-glass', 'prepare'],
  positionals: ['OPERATOR'],
  options: [
    { name: 'operations', value: 'OP,…', help: 'what may be done alone, such as window.open,account.unlock', required: true },
    { name: 'hours', value: 'N', help: 'how many hours it is open from its first use (default 4, at most 24)' },
    { name: 'days', value: 'N', help: 'how many days it is ready for use (default 30, at most 90)' },
    reason,
  ],
  help: 'Prepares an emergency: one operator may do these operations alone, once, for some hours. Its use is an alert until it is reviewed.',
  example: 'cofferctl break-glass prepare dora --operations window.open,account.unlock --hours 4 --days 30 --reason "on call in December"',
  changes: true,
  run: async (client, given) => {
    const params = {
      operator: positional(given, 0),
      operations: (given.options.operations ?? '').split(','),
      hours: wholeNumber(given, 'hours') ?? 4,
      validDays: wholeNumber(given, 'days') ?? 30,
      reason: given.options.reason ?? '',
    };
    return changing(
      client,
      given,
      'break-glass.prepare',
      params,
      (data) => `prepared until ${when(data.validUntil)}; ${params.operator} uses it with: --break-glass ${data.breakGlass} --execute\n`,
    );
  },
};

export const breakGlassList: Command = {
  words: ['break-glass', 'list'],
  positionals: [],
  options: [],
  help: 'Lists prepared emergencies, and what became of them. Exit code 1 while one that was used waits for its review.',
  example: 'cofferctl break-glass list',
  run: async (client) => {
    const data = await client.call('break-glass.list', {});
    const rows = data.breakGlasses.map((one) => [
      one.breakGlass,
      one.operator,
      one.state,
      one.operations.join(','),
      when(one.validUntil),
      when(one.openedAt),
      when(one.closesAt),
      one.changes,
      one.finding ?? one.reason,
    ]);
    return {
      data,
      text: table({
        columns: ['BREAK-GLASS', 'OPERATOR', 'STATE', 'OPERATIONS', 'READY UNTIL', 'OPENED', 'CLOSES', 'CHANGES', 'REASON OR FINDING'],
        rows,
        empty: 'no emergency was prepared',
      }),
      isFault: data.breakGlasses.some((one) => one.state === 'used' || one.state === 'open'),
    };
  },
};

export const breakGlassEnd: Command = {
  words: ['break-glass', 'end'],
  positionals: ['BREAK-GLASS'],
  options: [reason],
  help: 'Ends a prepared or open emergency at once.',
  example: 'cofferctl break-glass end 6f1c… --reason "the second operator is back"',
  changes: true,
  run: async (client, given) =>
    changing(
      client,
      given,
      'break-glass.end',
      { breakGlass: positional(given, 0), reason: given.options.reason ?? '' },
      () => 'the emergency is ended\n',
    ),
};

export const breakGlassReview: Command = {
  words: ['break-glass', 'review'],
  positionals: ['BREAK-GLASS'],
  options: [{ name: 'finding', value: 'TEXT', help: 'what the review found; goes on the record', required: true }],
  help: 'Closes the review of an emergency that was used. Two operators sign it, so one of them is not the one who acted.',
  example: 'cofferctl break-glass review 6f1c… --finding "two windows opened for the salary run, as agreed by telephone"',
  changes: true,
  run: async (client, given) =>
    changing(
      client,
      given,
      'break-glass.review',
      { breakGlass: positional(given, 0), finding: given.options.finding ?? '' },
      () => 'reviewed\n',
    ),
};
