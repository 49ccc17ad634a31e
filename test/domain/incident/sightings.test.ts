// Hits of a hunt, added up for each indicator, up to a bound.
import { test } from 'tap';
import { sightingIdsMax, tallyOf } from '../../../server/domain/incident/sightings.ts';
import type { ArchivedEntry } from '../../../server/domain/ledger/archive-line.ts';
import { archivedEntry } from '../../support/archived-entry.ts';

const entry = (at: number, kind: string, session: string | null, account: string | null): ArchivedEntry =>
  archivedEntry({ at, kind, session, account });

test('hits are added up separately for each indicator', async (t) => {
  const tally = tallyOf();
  t.ok(tally.add(entry(20, 'a', 's1', 'x'), [0, 3]));
  t.ok(tally.add(entry(10, 'b', 's1', 'y'), [3]));
  t.ok(tally.add(entry(30, 'a', null, null), [3]));
  t.ok(tally.add(entry(99, 'a', 's9', 'z'), []));
  t.same([...tally.sightings.keys()], [0, 3]);
  const found = tally.sightings.get(3);
  t.match(found, { hits: 3, first: 10, last: 30 });
  t.same([found?.sessions, found?.accounts, found?.customers], [new Set(['s1']), new Set(['x', 'y']), new Set()]);
  t.same(
    found?.kinds,
    new Map([
      ['a', 2],
      ['b', 1],
    ]),
  );
});

test('when not everything fits, the answer says so and names the indicator with the most sessions', async (t) => {
  const tally = tallyOf(4);
  t.ok(tally.add(entry(1, 'a', 's1', null), [0, 1]), 'two kinds and two sessions: as many as fit');
  t.ok(tally.add(entry(2, 'a', 's1', null), [0, 1]), 'the same again takes no room');
  t.notOk(tally.add(entry(3, 'a', 's2', null), [1]));
  t.equal(tally.mostSessions(), 1);
  t.equal(tallyOf().mostSessions(), -1);
});

test('the indicator with the most sessions is the first of those that have as many', (t) => {
  const tally = tallyOf();
  tally.add(entry(1, 'a', null, 'x'), [5]);
  t.equal(tally.mostSessions(), 5, 'one without a session comes before none');
  tally.add(entry(1, 'a', 's1', null), [3, 4]);
  t.equal(tally.mostSessions(), 3);
  tally.add(entry(1, 'a', 's2', null), [4]);
  t.equal(tally.mostSessions(), 4);
  t.equal(sightingIdsMax, 2_000_000);
  t.end();
});

test('each session, account, customer and kind counts once towards the limit', (t) => {
  const whole = archivedEntry({ at: 1, kind: 'a', session: 's', account: 'x', customer: 'c' });
  t.ok(tallyOf(4).add(whole, [0]));
  t.notOk(tallyOf(3).add(whole, [0]));
  const tally = tallyOf(4);
  tally.add(whole, [0]);
  t.ok(tally.add(whole, [0]), 'and each of them once');
  t.same(tally.sightings.get(0)?.customers, new Set(['c']));
  t.end();
});
