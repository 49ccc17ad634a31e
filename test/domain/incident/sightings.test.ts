import { test } from 'tap';
import { tallyOf } from '../../../server/domain/incident/sightings.ts';
import type { ArchivedEntry } from '../../../server/domain/ledger/archive-line.ts';
import { archivedEntry } from '../../support/archived-entry.ts';

const entry = (at: number, kind: string, session: string | null, account: string | null): ArchivedEntry =>
  archivedEntry({ at, kind, session, account });

test('hits are added up for each indicator by itself', async (t) => {
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

test('what does not fit is said, with the widest indicator', async (t) => {
  const tally = tallyOf(4);
  t.ok(tally.add(entry(1, 'a', 's1', null), [0, 1]), 'two kinds and two sessions: as many as fit');
  t.ok(tally.add(entry(2, 'a', 's1', null), [0, 1]), 'the same again takes no room');
  t.notOk(tally.add(entry(3, 'a', 's2', null), [1]));
  t.equal(tally.widest(), 1);
  t.equal(tallyOf().widest(), -1);
});
