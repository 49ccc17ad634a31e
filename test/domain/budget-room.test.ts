// What a budget has room for: caps with headroom, ceiling and half, windows that turn, and that no interval of a
// window's length ever holds more than its cap.
import fc from 'fast-check';
import { test } from 'tap';
import {
  capsAt,
  roomInEach,
  roomOf,
  type StoredBudget,
  type TotalAt,
  turned,
  usedOf,
} from '../../server/domain/budgets/room.ts';
import { budgetWindows, capMax, windowMinutes } from '../../server/domain/budgets/words.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const nowMinute = nowMs / 60_000;
const each = (value: number) => ({ hour: value, day: value, week: value });
const stored: StoredBudget = {
  total: { bytes: 500, items: 50 },
  minute: nowMinute,
  base: { bytes: { hour: 450, day: 300, week: 0 }, items: { hour: 45, day: 30, week: 0 } },
  caps: { bytes: { hour: 100, day: 250, week: 1000 }, items: { hour: 10, day: 25, week: 100 } },
  headroomPercent: 50,
  headroomUntilMs: Number.NEGATIVE_INFINITY,
  ceilingPercent: 100,
};

test('the room of a budget is what its tightest window leaves', (t) => {
  t.same(usedOf(stored), { bytes: { hour: 50, day: 200, week: 500 }, items: { hour: 5, day: 20, week: 50 } });
  t.same(roomInEach(stored.caps, 100, usedOf(stored)), {
    bytes: { hour: 50, day: 50, week: 500 },
    items: { hour: 5, day: 5, week: 50 },
  });
  t.same(roomOf(stored, null, nowMs), { hard: { bytes: 50, items: 5 }, half: null, soft: { bytes: 50, items: 5 } });
  for (const window of budgetWindows) {
    const lowered = {
      ...stored,
      caps: { bytes: { ...stored.caps.bytes, [window]: 49 }, items: { ...stored.caps.items, [window]: 4 } },
    };
    const used = usedOf(stored);
    t.same(
      roomOf(lowered, null, nowMs).hard,
      { bytes: 49 - used.bytes[window], items: 4 - used.items[window] },
      `a lowered cap: ${window}`,
    );
  }
  t.end();
});

test('headroom counts while it is released', (t) => {
  const until = (headroomUntilMs: number) => capsAt({ ...stored, headroomUntilMs }, nowMs).bytes;
  t.same(until(nowMs + 1), { hour: 150, day: 375, week: 1500 });
  t.same(until(nowMs), stored.caps.bytes, 'not at the moment of its end');
  t.same(until(Number.NEGATIVE_INFINITY), stored.caps.bytes);
  t.same(
    capsAt({ ...stored, headroomUntilMs: nowMs + 1, caps: { bytes: each(3), items: each(1) } }, nowMs),
    { bytes: each(4), items: each(1) },
    'rounded down',
  );
  t.end();
});

test('a ceiling is above the cap, and half of the customer is half of what it may use now', (t) => {
  const wide = { ...stored, ceilingPercent: 250 };
  t.same(roomOf(wide, null, nowMs), { hard: { bytes: 200, items: 20 }, half: null, soft: { bytes: 50, items: 5 } });
  const customer = {
    ...stored,
    caps: { bytes: each(601), items: each(60) },
    total: { bytes: 9999, items: 9999 },
    ceilingPercent: 300,
  };
  t.same(
    roomOf(stored, customer, nowMs).half,
    { bytes: -200, items: -20 },
    'of the caps of the customer, what the budget itself used',
  );
  t.same(
    roomOf(stored, { ...customer, headroomUntilMs: nowMs + 1 }, nowMs).half,
    { bytes: -50, items: -5 },
    'with headroom',
  );
  t.same(
    roomOf({ ...stored, headroomUntilMs: nowMs + 1 }, customer, nowMs).half,
    { bytes: -200, items: -20 },
    'that of the customer only',
  );
  t.equal(
    roomInEach({ bytes: each(capMax), items: each(1) }, 200, { bytes: each(0), items: each(0) }).bytes.hour,
    2 ** 51,
  );
  t.end();
});

test('windows turn with the minute, by the newest total that is old enough', (t) => {
  const budget = { ...stored, minute: nowMinute - 3, base: { bytes: each(1), items: each(1) } };
  const at = (ago: number, bytes: number): TotalAt => ({ minute: nowMinute - ago, bytes, items: bytes / 10 });
  const snapshots = [at(59, 400), at(60, 300), at(61, 290), at(1440, 200), at(10_080, 100), at(10_079, 110)];
  const after = turned(budget, snapshots, nowMinute);
  t.same(after, {
    ...budget,
    minute: nowMinute,
    base: { bytes: { hour: 300, day: 200, week: 100 }, items: { hour: 30, day: 20, week: 10 } },
  });
  t.same(turned(budget, snapshots.toReversed(), nowMinute), after, 'in any order');
  t.same(turned(after, [at(60, 499)], nowMinute), after, 'once a minute');
  t.same(turned(after, snapshots, nowMinute - 1), after, 'a clock that steps back turns nothing');
  t.same(turned(budget, [], nowMinute).base, budget.base, 'without snapshots a base stays as it is');
  t.same(
    turned({ ...budget, base: { bytes: each(350), items: each(35) } }, snapshots, nowMinute).base.bytes,
    each(350),
    'and never becomes less',
  );
  const long = turned(budget, [], budget.minute + 1 + 60);
  t.same(
    long.base,
    { bytes: { hour: 500, day: 1, week: 1 }, items: { hour: 50, day: 1, week: 1 } },
    'its own total is old enough after an hour',
  );
  t.same(turned(budget, [], budget.minute + 60).base, budget.base, 'and not before');
  t.end();
});

test('whenever something is charged that fits, no interval of a window holds more than its cap', (t) => {
  const step = fc.record({
    minutes: fc.constantFrom(0, 0, 1, 7, 30, 60, 700, 1440, 5000),
    bytes: fc.integer({ min: 1, max: 60 }),
    isLost: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      let budget: StoredBudget = {
        ...stored,
        minute: 0,
        total: { bytes: 0, items: 0 },
        base: { bytes: each(0), items: each(0) },
      };
      let minute = nowMinute;
      const snapshots: TotalAt[] = [];
      const granted: { readonly minute: number; readonly bytes: number }[] = [];
      for (const { minutes, bytes, isLost } of steps) {
        minute += minutes;
        if (minute > budget.minute && !isLost) snapshots.push({ ...budget.total, minute: budget.minute + 1 });
        budget = turned(budget, snapshots, minute);
        if (roomOf(budget, null, nowMs).hard.bytes < bytes) continue;
        budget = { ...budget, total: { ...budget.total, bytes: budget.total.bytes + bytes } };
        granted.push({ minute, bytes });
      }
      for (const window of budgetWindows)
        for (const { minute: end } of granted) {
          const inside = granted.filter((one) => one.minute > end - windowMinutes[window] && one.minute <= end);
          const sum = inside.reduce((all, one) => all + one.bytes, 0);
          if (sum > stored.caps.bytes[window]) throw new Error(`${sum} in one ${window}`);
        }
    }),
    { numRuns: 1000 },
  );
  t.end();
});
