// Amounts, names and sentences of budgets, the course of their windows, and the texts of refusals.
import { test } from 'tap';
import { amountText, countText, parseAmount, sizeText } from '../../server/domain/budgets/amounts.ts';
import { historyOf } from '../../server/domain/budgets/history.ts';
import {
  budgetDirections,
  budgetInWords,
  budgetWindows,
  capMax,
  consequences,
  scopeKinds,
  scopeOfRank,
  scopeOnCommandLine,
  scopeRanks,
  windowMinutes,
} from '../../server/domain/budgets/words.ts';
import { refusalCode, refusalSentence, refusalText } from '../../server/warden/budgets/refusal-text.ts';

test('amounts are read as people write them', async (t) => {
  const good: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['500', 500],
    ['500B', 500],
    ['20k', 20_000],
    ['20K', 20_000],
    ['2KiB', 2048],
    ['2GiB', 2 * 1024 ** 3],
    ['1.5 MiB', 1.5 * 1024 ** 2],
    ['1.5MB', 1_500_000],
    ['1PiB', 2 ** 50],
    ['1TiB', 2 ** 40],
    ['1T', 1e12],
    ['1.125P', 1.125e15],
    [' 7 ', 7],
    ['1125899906842624', 2 ** 50],
  ];
  for (const [text, value] of good) t.equal(parseAmount(text), value, text);
  for (const text of [
    '',
    '-1',
    '1.5',
    '1e9',
    '2 parsec',
    '5PiB',
    '0x10',
    'GiB',
    '1iB',
    '99999999999999999',
    '1..5G',
    '1,5MiB',
    '1125899906842625',
    '1.0001G',
  ])
    t.equal(parseAmount(text), undefined, `not an amount: ${text}`);
  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [2 * 1024 ** 2, '2 MiB'],
    [2 * 1024 ** 3, '2 GiB'],
    [1.26 * 1024 ** 3, '1.3 GiB'],
    [1023.4 * 1024 ** 3, '1023.4 GiB'],
    [1024 ** 4, '1 TiB'],
    [1024 ** 5, '1 PiB'],
    [5000 * 1024 ** 5, '5000 PiB'],
    [-1024, '-1 KiB'],
  ] as const)
    t.equal(sizeText(bytes), text);
  t.equal(amountText('list', 'items', 12_000), '12,000 names');
  t.equal(amountText('out', 'items', 1), '1 files');
  t.equal(amountText('in', 'bytes', 2048), '2 KiB');
  t.equal(countText(1_234_567), '1,234,567');
});

test('the names of budgets are also the names that the database uses', (t) => {
  t.same(scopeRanks, { credential: 1, account: 2, customer: 3, plane: 4, gateway: 5 });
  t.same([1, 2, 3, 4, 5].map(scopeOfRank), scopeKinds);
  t.same(
    [budgetDirections, budgetWindows, consequences],
    [
      ['out', 'in', 'list'],
      ['hour', 'day', 'week'],
      ['refuse', 'end-sessions', 'suspend'],
    ],
  );
  t.same(windowMinutes, { hour: 60, day: 24 * 60, week: 7 * 24 * 60 });
  t.equal(capMax, 1_125_899_906_842_624);
  t.end();
});

test('a scope is written as an operator types it, and a budget as a sentence names it', (t) => {
  t.equal(scopeOnCommandLine('gateway', null, null), '--gateway');
  t.equal(scopeOnCommandLine('plane', 'partner', null), '--plane partner');
  t.equal(scopeOnCommandLine('account', 'acme', null), '--account acme');
  t.equal(scopeOnCommandLine('account', 'processor', 'acme'), '--account processor --customer acme');
  t.equal(
    scopeOnCommandLine('credential', 'SHA256:x', 'acme'),
    '--credential SHA256:x',
    'only an account has a budget at a customer',
  );
  t.equal(budgetInWords('gateway', null, null, 'out'), 'the budget of the gateway for direction out');
  t.equal(budgetInWords('customer', 'acme', 'acme', 'in'), 'the budget of customer acme for direction in');
  t.equal(
    budgetInWords('account', 'processor', 'acme', 'list'),
    'the budget of account processor at customer acme for direction list',
  );
  t.end();
});

test('the course of an hour has a bucket for each minute', (t) => {
  const now = 60_000;
  const snapshots = [
    { minute: now - 59, amount: 100 },
    { minute: now - 1, amount: 130 },
    { minute: now, amount: 150 },
  ];
  const buckets = historyOf(snapshots, 157, 90, now, 'hour');
  t.equal(buckets.length, 60);
  t.same(buckets[0], { fromMinute: now - 59, amount: 0, since: 0 }, 'what was before the window is no part of it');
  t.same(buckets[57], { fromMinute: now - 2, amount: 30, since: 30 });
  t.same(buckets[58], { fromMinute: now - 1, amount: 20, since: 50 });
  t.same(buckets[59], { fromMinute: now, amount: 7, since: 57 }, 'the present minute has what no snapshot has yet');
  const older = historyOf([], 157, 90, now, 'hour');
  t.same(
    older.at(-1),
    { fromMinute: now, amount: 67, since: 67 },
    'without snapshots all of it is put into the newest bucket',
  );
  t.end();
});

test('a day and a week end with the bucket that has the present minute', (t) => {
  const inDay = historyOf([], 1, 0, 1_000_000, 'day');
  t.equal(inDay.length, 96);
  t.same(inDay.at(-1), { fromMinute: 999_990, amount: 1, since: 1 });
  t.equal(inDay[0]?.fromMinute, 1_000_005 - 1440);
  t.equal(historyOf([], 1, 0, 999_990, 'day').at(-1)?.fromMinute, 999_990, 'a minute at its beginning');
  const inWeek = historyOf([], 1, 0, 1_000_000, 'week');
  t.equal(inWeek.length, 168);
  t.equal(inWeek.at(-1)?.fromMinute, 999_960);
  t.end();
});

test('the course of a window adds up to what was charged in it, whichever snapshots are left', async (t) => {
  // An exact log of charges by minute, and snapshots of it as the database makes them: at the start of the minute after
  // an active one.
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 200; round += 1) {
    const now = 1_000_000 + random(1000);
    const charges = new Map<number, number>();
    for (let i = 0; i < 60; i += 1) charges.set(now - random(12_000), 1 + random(100));
    const minutes = [...charges.keys()].sort((a, b) => a - b);
    let total = 0;
    const snapshots = minutes.map((minute) => {
      const before = total;
      total += charges.get(minute) ?? 0;
      return { minute: minute + 1, amount: total, before };
    });
    for (const window of ['hour', 'day', 'week'] as const) {
      const buckets = historyOf(snapshots, total, 0, now, window);
      t.equal(buckets.length, { hour: 60, day: 96, week: 168 }[window]);
      const begin = buckets[0]?.fromMinute ?? 0;
      const inWindow = minutes
        .filter((minute) => minute >= begin)
        .reduce((sum, minute) => sum + (charges.get(minute) ?? 0), 0);
      t.equal(buckets.at(-1)?.since, inWindow, 'all of it');
      t.equal(
        buckets.reduce((sum, one) => sum + one.amount, 0),
        inWindow,
        'bucket by bucket',
      );
      t.ok(
        buckets.every((one) => one.amount >= 0),
        'nothing negative',
      );
      t.ok(now < begin + windowMinutes[window] && now >= begin, 'the window ends now');
      const width = windowMinutes[window] / buckets.length;
      const chargedIn = ({ fromMinute }: { readonly fromMinute: number }): number =>
        minutes.reduce(
          (sum, one) => sum + (one >= fromMinute && one < fromMinute + width ? (charges.get(one) ?? 0) : 0),
          0,
        );
      t.same(
        buckets.map((one) => one.amount),
        buckets.map(chargedIn),
        'each charge in the bucket of its minute, those of the present minute too',
      );
      // What happened where snapshots are missing appears later, or before the window began: never less than there was.
      const thinned = snapshots.filter(({ minute }) => minute > now - 120 || minute % 60 === 0);
      const coarse = historyOf(thinned, total, 0, now, window);
      t.ok((coarse.at(-1)?.since ?? 0) >= inWindow, 'of what is left of the snapshots, too');
      t.ok(
        coarse.every((one) => one.amount >= 0),
        'and nothing negative',
      );
    }
  }
});

test('texts of refusals: people read the reason and the time, programs a code; wide scopes tell no number', async (t) => {
  const freeAt = new Date('2026-11-24T14:05:00Z');
  const base = {
    scope: 'account',
    direction: 'out',
    unit: 'bytes',
    window: 'day',
    cap: 2 * 1024 ** 3,
    freeAt,
  } as const;
  t.equal(refusalSentence(base), 'daily limit of 2 GiB reached; more at 2026-11-24 14:05 UTC');
  t.equal(refusalSentence({ ...base, window: 'hour' }), 'hourly limit of 2 GiB reached; more at 2026-11-24 14:05 UTC');
  t.equal(
    refusalSentence({ ...base, freeAt: new Date('2026-11-24T23:59:00.001Z') }),
    'daily limit of 2 GiB reached; more at 2026-11-25 00:00 UTC',
    'not before there is room',
  );
  t.equal(
    refusalSentence({ ...base, unit: 'items', cap: 5000 }),
    'daily limit of 5,000 files reached; more at 2026-11-24 14:05 UTC',
  );
  t.equal(
    refusalSentence({ ...base, freeAt: null }),
    'daily limit of 2 GiB reached; this file is larger than the limit allows',
  );
  t.equal(
    refusalSentence({ ...base, scope: 'gateway' }),
    'the daily limit of the whole gateway reached; more at 2026-11-24 14:05 UTC',
  );
  t.equal(refusalCode(base), 'COFFERDAM-BUDGET-DAY-BYTES-OUT');
  t.equal(
    refusalText('person', base),
    'daily limit of 2 GiB reached; more at 2026-11-24 14:05 UTC [COFFERDAM-BUDGET-DAY-BYTES-OUT]',
  );
  t.equal(
    refusalText('machine', base),
    'COFFERDAM-BUDGET-DAY-BYTES-OUT: daily limit of 2 GiB reached; more at 2026-11-24 14:05 UTC',
    'a program is told the same',
  );
  t.equal(
    refusalCode({ ...base, direction: 'list', unit: 'items', window: 'week' }),
    'COFFERDAM-BUDGET-WEEK-NAMES-LIST',
  );
});
