// The rule of one grant: who is refused and by what, what it costs, what slows down; and for any items in any order,
// that nothing exceeds any room.
import fc from 'fast-check';
import { test } from 'tap';
import { type Ask, type Charged, decide } from '../../server/domain/budgets/decide.ts';
import type { WindowAmounts } from '../../server/domain/budgets/words.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const dayMs = 24 * 3_600_000;
const never = Number.NEGATIVE_INFINITY;

const extent: Ask = {
  isGood: true,
  isExtent: true,
  bytes: 10,
  items: 1,
  extentPaidAtMs: null,
  filePaidAtMs: null,
  hasSeveralCredentials: false,
};
const amount: Ask = { ...extent, isExtent: false };
const plenty = { bytes: 1000, items: 100 };
const nothing = { bytes: 0, items: 0 };
const wide: Charged = {
  room: { hard: plenty, half: null, soft: plenty },
  taken: nothing,
  slowUntilMs: never,
  ceilingPercent: 100,
  pace: null,
};
const five = (change: Partial<Charged> = {}, rank = 0): readonly Charged[] =>
  [1, 2, 3, 4, 5].map((one) => (one === rank ? { ...wide, ...change } : wide));
const decisionOf = (ask: Ask, budgets: readonly Charged[] = five()) => decide(ask, budgets, nowMs).decision;

test('what costs nothing, and what cannot be charged', (t) => {
  t.same(decisionOf(extent), { outcome: 'granted', paysFile: true, isSlow: false });
  t.same(decisionOf(amount), { outcome: 'granted', paysFile: false, isSlow: false }, 'an amount pays for no file');
  t.same(decisionOf({ ...extent, isGood: false }), { outcome: 'session' });
  t.same(
    decisionOf({ ...extent, isGood: false, bytes: null }),
    { outcome: 'missing' },
    'whose handle it is not says nothing of the session',
  );
  for (const wrong of [{ bytes: null }, { items: null }, { bytes: -1 }, { items: -1 }])
    t.same(decisionOf({ ...extent, ...wrong }), { outcome: 'missing' });
  t.same(decisionOf({ ...extent, bytes: 0, items: 0 }).outcome, 'granted', 'nothing is an amount, too');
  t.same(decisionOf(extent, five().slice(1)), { outcome: 'missing' }, 'one of the five has no row');
  t.same(
    decide(extent, five(), nowMs).budgets.map(({ taken }) => taken),
    Array(5).fill({ bytes: 10, items: 1 }),
    'all five are charged',
  );
  t.end();
});

test('an extent is paid for once a day, and its file with the first of its extents', (t) => {
  for (const [name, atMs, isPaid] of [
    ['now', nowMs, true],
    ['within a day', nowMs - dayMs + 1, true],
    ['a day ago', nowMs - dayMs, false],
    ['never', null, false],
  ] as const) {
    const repeated = decide({ ...extent, extentPaidAtMs: atMs }, five(), nowMs);
    t.equal(repeated.decision.outcome, isPaid ? 'repeat' : 'granted', `the extent ${name}`);
    if (isPaid) t.same(repeated.budgets, five(), 'a repeat takes nothing');
    const next = decide({ ...extent, filePaidAtMs: atMs }, five(), nowMs);
    t.same(next.decision, { outcome: 'granted', paysFile: !isPaid, isSlow: false }, `the file ${name}`);
    t.same(next.budgets[0]?.taken, { bytes: 10, items: isPaid ? 0 : 1 });
    t.same(
      decide({ ...amount, extentPaidAtMs: atMs, filePaidAtMs: atMs }, five(), nowMs).budgets[0]?.taken,
      { bytes: 10, items: 1 },
      'amounts are never paid for before',
    );
  }
  t.equal(decisionOf({ ...extent, extentPaidAtMs: nowMs }, []).outcome, 'repeat', 'a repeat needs no budget');
  t.end();
});

test('the narrowest budget without room refuses, in bytes or items', (t) => {
  for (const rank of [1, 2, 3, 4, 5])
    for (const [unit, least] of [
      ['bytes', 10],
      ['items', 1],
    ] as const) {
      const with_ = (room: number) => five({ room: { ...wide.room, hard: { ...plenty, [unit]: room } } }, rank);
      t.equal(decisionOf(extent, with_(least)).outcome, 'granted', `exactly as many ${unit} as there are`);
      const refused = decide(extent, with_(least - 1), nowMs);
      t.same(refused.decision, { outcome: 'over-limit', rank, isHalf: false }, `${unit} of rank ${rank}`);
      t.same(refused.budgets, with_(least - 1), 'and takes nothing of any');
      t.equal(
        decisionOf({ ...extent, filePaidAtMs: nowMs }, with_(least - 1)).outcome,
        unit === 'items' ? 'granted' : 'over-limit',
      );
    }
  const twoFull = five().map((one, i) => (i === 1 || i === 3 ? { ...one, taken: plenty } : one));
  t.same(
    decisionOf(extent, twoFull),
    { outcome: 'over-limit', rank: 2, isHalf: false },
    'what the batch took before counts',
  );
  t.end();
});

test('half of the customer refuses while several credentials could use it', (t) => {
  const share = five({ room: { ...wide.room, half: { bytes: 9, items: 9 } } }, 1);
  t.equal(decisionOf(extent, share).outcome, 'granted', 'alone it may use more');
  t.same(decisionOf({ ...extent, hasSeveralCredentials: true }, share), {
    outcome: 'over-limit',
    rank: 1,
    isHalf: true,
  });
  t.equal(decisionOf({ ...extent, bytes: 9, hasSeveralCredentials: true }, share).outcome, 'granted');
  t.equal(
    decisionOf({ ...extent, hasSeveralCredentials: true }).outcome,
    'granted',
    'who shares nothing is not concerned',
  );
  const both = five({ room: { hard: nothing, half: nothing, soft: nothing } }, 1);
  t.same(
    decisionOf({ ...extent, hasSeveralCredentials: true }, both),
    { outcome: 'over-limit', rank: 1, isHalf: false },
    'its own cap is named first',
  );
  t.end();
});

const each = (value: number) => ({ hour: value, day: value, week: value });
const unused: WindowAmounts = { bytes: each(0), items: each(0) };
const full = { bytes: each(1_000_000), items: each(1_000_000) };
/** A budget of 100 bytes an hour, of which everything is used, and a ceiling of twice as much. */
const slow: Charged = {
  ...wide,
  room: { hard: plenty, half: null, soft: { bytes: 0, items: 100 } },
  ceilingPercent: 200,
  pace: {
    caps: { ...full, bytes: { ...full.bytes, hour: 100 } },
    used: { ...unused, bytes: { ...unused.bytes, hour: 100 } },
  },
};

test('past their cap, plane and gateway let one item at a time through', (t) => {
  for (const rank of [1, 2, 3])
    t.same(
      decisionOf(extent, five(slow, rank)),
      { outcome: 'granted', paysFile: true, isSlow: false },
      `rank ${rank} does not`,
    );
  for (const rank of [4, 5]) {
    const first = decide(extent, five(slow, rank), nowMs);
    t.same(first.decision, { outcome: 'granted', paysFile: true, isSlow: true });
    const stepMs = 360_000;
    t.equal(
      first.budgets[rank - 1]?.slowUntilMs,
      nowMs + stepMs,
      '10 of the 100 bytes from cap to ceiling take a tenth of the hour',
    );
    t.equal(first.budgets[0]?.slowUntilMs, never, 'the others go on');
    const second = decide(extent, first.budgets, nowMs + 1);
    t.same(second.decision, { outcome: 'later', afterMs: stepMs - 1 });
    t.same(second.budgets, first.budgets, 'what waits takes nothing');
    t.equal(decide(extent, first.budgets, nowMs + stepMs).decision.outcome, 'granted', 'until its time has come');
    const late = decide(extent, first.budgets, nowMs + 2 * stepMs);
    t.equal(late.budgets[rank - 1]?.slowUntilMs, nowMs + 3 * stepMs, 'and the pace begins anew');
  }
  t.same(
    decisionOf(extent, five({ ...slow, slowUntilMs: nowMs + 0.25 }, 4)),
    { outcome: 'later', afterMs: 1 },
    'a wait is rounded up',
  );
  t.same(
    decisionOf(extent, five({ ...slow, slowUntilMs: nowMs + 1e12 }, 4)),
    { outcome: 'later', afterMs: 2 ** 31 - 1 },
    'and bounded',
  );
  t.equal(
    decisionOf(extent, five({ slowUntilMs: nowMs + 1000 }, 4)).outcome,
    'granted',
    'within the cap nothing waits',
  );
  const two = five(slow, 4).map((one, i) =>
    i === 4 ? { ...slow, slowUntilMs: nowMs + 50 } : { ...one, slowUntilMs: i === 3 ? nowMs + 20 : never },
  );
  t.same(decisionOf(extent, two), { outcome: 'later', afterMs: 50 }, 'of two waits the longer one');
  t.end();
});

test('the pace is that of the slowest window', (t) => {
  const until = (change: Partial<Charged>): number =>
    (decide(extent, five({ ...slow, ...change }, 5), nowMs).budgets[4]?.slowUntilMs ?? 0) - nowMs;
  const pace = (caps: WindowAmounts) => ({ pace: { caps, used: unused } });
  t.equal(until({ pace: null }), 0);
  t.equal(until(pace({ ...full, bytes: { ...full.bytes, hour: 10 } })), 0, 'what fits into the window takes no time');
  t.equal(until(pace({ ...full, bytes: { ...full.bytes, day: 9 } })), (10 * dayMs) / 9);
  t.equal(until(pace({ ...full, items: { ...full.items, week: 0 } })), 7 * dayMs, 'a cap of nothing counts as one');
  t.equal(until(pace({ bytes: { hour: 5, day: 5, week: 1000 }, items: each(1000) })), 2 * dayMs);
  t.equal(
    until({ ...pace({ ...full, bytes: { ...full.bytes, hour: 5 } }), ceilingPercent: 300 }),
    3_600_000,
    'twice the way, half the time',
  );
  t.end();
});

const part = fc.record({ bytes: fc.integer({ min: -5, max: 60 }), items: fc.integer({ min: -1, max: 6 }) });
const budget: fc.Arbitrary<Charged> = fc.record({
  room: fc.record({ hard: part, half: fc.option(part), soft: part }),
  taken: fc.constant(nothing),
  slowUntilMs: fc.constantFrom(never, nowMs - 1, nowMs, nowMs + 1),
  ceilingPercent: fc.integer({ min: 100, max: 300 }),
  pace: fc.option(fc.constant({ caps: full, used: unused })),
});
const budgets = fc.array(budget, { minLength: 5, maxLength: 5 });
const ask: fc.Arbitrary<Ask> = fc.record({
  isGood: fc.boolean(),
  isExtent: fc.boolean(),
  bytes: fc.option(fc.nat(20)),
  items: fc.option(fc.nat(2)),
  extentPaidAtMs: fc.option(fc.constantFrom(nowMs, nowMs - 2 * dayMs)),
  filePaidAtMs: fc.option(fc.constantFrom(nowMs, nowMs - 2 * dayMs)),
  hasSeveralCredentials: fc.boolean(),
});

test('whatever is asked in whichever order, no budget gives more than it has room for', (t) => {
  fc.assert(
    fc.property(budgets, fc.array(ask, { maxLength: 12 }), (given, asks) => {
      let state: readonly Charged[] = given;
      for (const one of asks) {
        const { decision, budgets: after } = decide(one, state, nowMs);
        const before = state;
        state = after;
        if (decision.outcome !== 'granted') {
          if (after !== before) throw new Error('only what is granted takes anything');
          continue;
        }
        const items = one.isExtent && one.filePaidAtMs === nowMs ? 0 : one.items;
        for (const [i, { taken }] of after.entries()) {
          const had = before[i]?.taken ?? nothing;
          if (taken.bytes - had.bytes !== one.bytes || taken.items - had.items !== items)
            throw new Error('each is charged what it costs');
        }
        for (const { taken, room } of after)
          if (taken.bytes > room.hard.bytes || taken.items > room.hard.items)
            throw new Error(`${JSON.stringify(taken)} of ${JSON.stringify(room)}`);
      }
    }),
    { numRuns: 3000 },
  );
  t.end();
});

test('a larger item, a fuller budget or more who share never get what a smaller, an emptier or fewer do not', (t) => {
  const isGranted = (one: Ask, of: readonly Charged[]): boolean =>
    ['granted', 'later'].includes(decide(one, of, nowMs).decision.outcome);
  fc.assert(
    fc.property(budgets, ask, fc.nat(9), fc.nat(2), (given, one, bytes, items) => {
      const larger = {
        ...one,
        bytes: one.bytes === null ? null : one.bytes + bytes,
        items: one.items === null ? null : one.items + items,
      };
      const fuller = given.map((each) => ({ ...each, taken: { bytes, items } }));
      const shared = { ...one, hasSeveralCredentials: true };
      for (const [name, more] of [
        ['larger', isGranted(larger, given)],
        ['fuller', isGranted(one, fuller)],
        ['shared', isGranted(shared, given)],
      ] as const)
        if (more && !isGranted(one, given)) throw new Error(name);
    }),
    { numRuns: 3000 },
  );
  t.end();
});
