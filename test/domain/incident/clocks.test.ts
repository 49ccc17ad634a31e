// Deadlines counted from a moment of awareness, also across ends of months and leap years.
import { test } from 'tap';
import { clocksFrom, monthAfter } from '../../../server/domain/incident/clocks.ts';

test('every deadline, in the order in which they end', async (t) => {
  const clocks = clocksFrom(new Date('2026-11-24T18:00:00Z'));
  t.same(
    clocks.map((one) => [one.rule.split(/[,:]/)[0], one.until]),
    [
      ['DORA', '2026-11-24T22:00:00.000Z'],
      ['DORA', '2026-11-25T18:00:00.000Z'],
      ['US banks', '2026-11-26T06:00:00.000Z'],
      ['NYDFS', '2026-11-27T18:00:00.000Z'],
      ['DORA', '2026-11-28T18:00:00.000Z'],
      ['DORA', '2026-12-28T18:00:00.000Z'],
    ],
  );
});

test('a month later is the same day of the next month, or its last day', async (t) => {
  const later = (text: string): string => monthAfter(new Date(text)).toISOString();
  t.equal(later('2027-01-31T10:00:00Z'), '2027-02-28T10:00:00.000Z', 'the last day of a shorter month');
  t.equal(later('2028-01-30T10:00:00Z'), '2028-02-29T10:00:00.000Z', 'a leap year');
  t.equal(later('2026-12-15T23:59:59Z'), '2027-01-15T23:59:59.000Z', 'the next year');
  t.equal(later('2026-04-30T00:00:00Z'), '2026-05-30T00:00:00.000Z');
});
