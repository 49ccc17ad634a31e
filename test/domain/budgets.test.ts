import { test } from 'tap';
import { amountText, historyOf, parseAmount, roomIn, sizeText, windowMinutes } from '../../server/domain/budgets.ts';
import { refusalCode, refusalSentence } from '../../server/warden/budgets/refusal-text.ts';

test('amounts are read as they are written', async (t) => {
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
  ];
  for (const [text, value] of good) t.equal(parseAmount(text), value, text);
  for (const text of ['', '-1', '1.5', '1e9', '2 parsec', '5PiB', '0x10', 'GiB', '1iB', '99999999999999999', '1..5G', '1,5MiB'])
    t.equal(parseAmount(text), undefined, `not an amount: ${text}`);
  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [2 * 1024 ** 3, '2 GiB'],
  ] as const)
    t.equal(sizeText(bytes), text);
  t.equal(amountText('list', 'items', 12_000), '12,000 names');
  t.equal(amountText('out', 'items', 1), '1 files');
});

test('room is what the tightest window leaves', async (t) => {
  t.equal(roomIn({ hour: 10, day: 20, week: 30 }, { hour: 0, day: 15, week: 0 }), 5);
  t.equal(roomIn({ hour: 10, day: 20, week: 30 }, { hour: 11, day: 0, week: 0 }), 0, 'never negative');
});

test('the course of a window adds up to what was charged in it, whatever is left of the snapshots', async (t) => {
  // An exact log of charges by minute, and snapshots of it as the database makes them: at the start of the minute after an active one.
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
      const inWindow = minutes.filter((minute) => minute >= begin).reduce((sum, minute) => sum + (charges.get(minute) ?? 0), 0);
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
    }
  }
});

test('texts of refusals: people read the reason and the time, programs a code; the wide scopes tell no number', async (t) => {
  const freeAt = new Date('2026-11-24T14:05:00Z');
  const base = { scope: 'account', direction: 'out', unit: 'bytes', window: 'day', cap: 2 * 1024 ** 3, freeAt } as const;
  t.equal(refusalSentence(base), 'daily limit of 2 GiB reached; more at 2026-11-24 14:05 UTC');
  t.equal(refusalSentence({ ...base, window: 'hour' }), 'hourly limit of 2 GiB reached; more at 14:05 UTC');
  t.equal(refusalSentence({ ...base, unit: 'items', cap: 5000 }), 'daily limit of 5,000 files reached; more at 2026-11-24 14:05 UTC');
  t.equal(refusalSentence({ ...base, freeAt: null }), 'daily limit of 2 GiB reached; this file is larger than the limit allows');
  t.equal(refusalSentence({ ...base, scope: 'gateway' }), 'the daily limit of the whole gateway reached; more at 2026-11-24 14:05 UTC');
  t.equal(refusalCode(base), 'COFFERDAM-BUDGET-DAY-BYTES-OUT');
  t.equal(refusalCode({ ...base, direction: 'list', unit: 'items', window: 'week' }), 'COFFERDAM-BUDGET-WEEK-NAMES-LIST');
});
