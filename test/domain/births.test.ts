// What a process remembers about its own entries, tested without a database: until each was seen sealed as it was
// written.
import { test } from 'tap';
import { Births, type BirthsOptions, type Sighting } from '../../server/domain/ledger/births.ts';
import { parseEntry, textOfWritten, type WrittenEntry } from '../../server/domain/ledger/written.ts';

let clock = 0;
const options: BirthsOptions = {
  digestOf: (text) => text.slice(),
  now: () => clock,
  entriesMax: 1000,
  unsureMs: 100,
  clockJumpMs: 10,
};
const entry = (id: number, word = 'x'): string =>
  `(${id},"2026-11-29 08:00:00.000001+00",extent.granted,warden,,,,,,,,,,{},${word},,,,,,{})`;
const written = (id: number, word?: string): WrittenEntry => {
  const one = parseEntry(entry(id, word));
  if (one === undefined) throw new Error('no entry');
  return one;
};
const sighting = (id: number, isSealed: boolean, word = 'x'): Sighting => ({ id, content: entry(id, word), isSealed });

test('an entry that is gone or changed is reported, and what is no fault is not', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  for (const id of [1, 2, 3, 4]) draft.add(written(id));
  t.equal(births.size, 0, 'not before the commit');
  draft.end('committed');
  t.same(births.ask(10), { ids: [1, 2, 3, 4], above: 0 });
  t.same(births.ask(2), { ids: [1, 2], above: 0 }, 'a bounded question');
  t.same(
    births.learn([1, 2, 3, 4], {
      number: 7,
      upTo: 7,
      sightings: [sighting(1, true), sighting(2, false), sighting(3, true, 'y')],
    }),
    [
      { id: 3, kind: 'extent.granted', is: 'changed', isOfOtherServer: false },
      { id: 4, kind: 'extent.granted', is: 'gone', isOfOtherServer: false },
    ],
  );
  t.same(births.ask(10), { ids: [3, 4, 2], above: 0 }, 'a miss stays; what waits has its turn behind the others');
  t.same(births.ask(1), { ids: [3], above: 0 });
  t.throws(() => {
    const odd = births.begin();
    odd.add({ ...written(1), id: '-1' });
    odd.end('committed');
  }, /gave back no entry/);
  for (const nothing of [{ at: null }, { at: 'infinity' }, { kind: null }])
    t.throws(() => births.begin().add({ ...written(9), ...nothing }), {
      code: 'bug',
      message: 'the database gave back no entry',
    });
  t.end();
});

test('a look that did not reach the end of the numbers reports nothing, and the next one continues there', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  draft.add(written(1));
  draft.end('committed');
  t.same(births.learn([1], { number: 100, upTo: 40, sightings: [] }), []);
  t.equal(births.ask(10).above, 40);
  t.same(births.learn([1], { number: 100, upTo: 80, sightings: [] }), []);
  t.match(births.learn([1], { number: 100, upTo: 100, sightings: [] }), [{ id: 1, is: 'gone' }]);
  t.end();
});

test('entries whose draft began before a look are looked for above the number seen then; drafts of an ended era are dropped', (t) => {
  const births = new Births(options);
  births.learn([], { number: 50, upTo: 50, sightings: [] });
  const early = births.begin();
  births.learn([], { number: 90, upTo: 90, sightings: [] });
  early.add(written(1));
  early.end('committed');
  t.equal(births.ask(10).above, 50, 'it may have been sealed between the two');
  const late = births.begin();
  late.add(written(2));
  births.forget(12);
  late.end('committed');
  t.equal(births.size, 0);
  t.equal(births.ask(10).above, 12);
  t.end();
});

test('an entry whose commit has an unknown outcome is asked for while a server may still commit it', (t) => {
  const births = new Births(options);
  clock = 1000;
  const draft = births.begin();
  draft.add(written(1));
  draft.add(written(2));
  draft.end('unknown');
  t.same(births.learn([1, 2], { number: 5, upTo: 5, sightings: [sighting(2, false)] }), []);
  t.match(births.learn([2], { number: 5, upTo: 5, sightings: [] }), [{ id: 2, is: 'gone' }]);
  clock = 1100;
  t.same(births.learn([1], { number: 5, upTo: 5, sightings: [] }), []);
  t.same(births.ask(10).ids, [1, 2]);
  clock = 1101;
  t.same(births.learn([1], { number: 5, upTo: 5, sightings: [] }), []);
  t.same(births.ask(10).ids, [2]);
  t.end();
});

test('a server that crashed gives the numbers of what was never committed to other entries', (t) => {
  const births = new Births(options);
  clock = 0;
  // As the database shows it at the time of the entries.
  births.heard({ database: Date.parse('2026-11-29T08:00:00Z'), from: 0, to: 0 });
  const lost = births.begin();
  for (const id of [1, 2]) lost.add(written(id));
  lost.end('unknown');
  // Another process was given number 1: what this one wrote under it does not exist.
  t.same(births.learn([1], { number: 5, upTo: 5, sightings: [sighting(1, true, 'of another')] }), [], 'no alarm');
  t.same(births.ask(10).ids, [2]);
  // Number 2 comes to this process again.
  const again = births.begin();
  t.equal(again.faultOf(written(2, 'anew'), 0), undefined, 'the number is free');
  again.add(written(2, 'anew'));
  again.requireWritten();
  again.end('committed');
  t.same(births.refusedUntil(clock), []);
  t.same(births.ask(10).ids, [2]);
  t.same(births.learn([2], { number: 6, upTo: 6, sightings: [sighting(2, false, 'anew')] }), []);
  t.match(
    births.learn([2], { number: 6, upTo: 6, sightings: [sighting(2, false, 'x')] }),
    [{ id: 2, is: 'changed' }],
    'what was committed stays',
  );
  // The twin: the number of an entry that was committed is not free.
  const other = births.begin();
  t.throws(() => other.add(written(2)), { code: 'unavailable' });
  t.match(births.refusedUntil(clock), [{ fault: 'was given the number 2, which another entry has' }]);
  t.end();
});

test('a number that is given again while the database is asked for it is not missed', (t) => {
  const births = new Births(options);
  const commit = (id: number, word: string, end: 'committed' | 'unknown'): void => {
    const draft = births.begin();
    draft.add(written(id, word));
    draft.end(end);
  };
  commit(1, 'x', 'unknown');
  const { ids } = births.ask(10);
  // The look has its snapshot; then an entry with this number is committed.
  commit(1, 'anew', 'committed');
  t.same(births.learn(ids, { number: 5, upTo: 5, sightings: [] }), [], 'the look was about another entry');
  t.match(
    births.learn(births.ask(10).ids, { number: 5, upTo: 5, sightings: [] }),
    [{ id: 1, is: 'gone' }],
    'twin: the next look is not',
  );
  t.end();
});

test('what a savepoint undid in the middle of a transaction is not waited for', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  draft.add(written(1));
  draft.heard('savepoint part');
  draft.add(written(2));
  draft.heard('rollback to savepoint part');
  draft.add(written(3));
  draft.heard('savepoint part');
  draft.add(written(4));
  draft.heard('release savepoint part');
  draft.heard('select 1');
  draft.end('committed');
  t.same(births.ask(10).ids, [1, 3, 4]);
  t.end();
});

test('of nested savepoints with one name, undoing the outer one undoes what the inner ones kept', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  draft.add(written(1));
  draft.heard('savepoint part');
  for (const id of [2, 3]) {
    draft.heard('savepoint part');
    draft.add(written(id));
    draft.heard('release savepoint part');
  }
  draft.heard('savepoint part');
  draft.add(written(4));
  draft.heard('rollback to savepoint part');
  draft.heard('release savepoint part');
  draft.heard('rollback to savepoint part');
  draft.heard('release savepoint part');
  draft.add(written(5));
  draft.end('committed');
  t.same(births.ask(10).ids, [1, 5]);
  t.end();
});

test('a number that is given again takes nothing away from the entry that had it', (t) => {
  const births = new Births(options);
  const [first, second] = [births.begin(), births.begin()];
  first.add(written(1, 'first'));
  first.end('committed');
  births.moved();
  second.add(written(1, 'second'));
  second.end('committed');
  const look = (...sightings: readonly Sighting[]) => births.learn([1], { number: 5, upTo: 5, sightings });
  t.same(look(sighting(1, true, 'second')), [], 'what was asked for before says nothing of the second one');
  t.same(births.ask(10).ids, [1]);
  t.match(
    look(sighting(1, false, 'first')),
    [{ id: 1, is: 'changed', isOfOtherServer: false }],
    'the second is missed',
  );
  t.match(look(sighting(1, true, 'second')), [{ id: 1, is: 'changed', isOfOtherServer: true }], 'or the first one');
  t.match(births.unseen, [{ id: 1, digest: /first/ }], 'and the second one was seen');
  t.same(look(sighting(1, true, 'first')), []);
  t.equal(births.size, 0, 'twin: now both');
  t.end();
});

const atMicros = Date.parse('2026-11-29T08:00:00Z');
/** Writes and commits one entry. */
function commit(births: Births, ...ids: readonly number[]): void {
  const draft = births.begin();
  for (const id of ids) draft.add(written(id));
  draft.end('committed');
}

test('the age of the oldest waiting entry leaves out sealed entries, entries that were set aside, and unsure ones', (t) => {
  const births = new Births(options);
  clock = 1000;
  t.same([births.oldestMs, births.oldest], [0, undefined], 'nothing waits');
  commit(births, 1);
  clock = 1010;
  commit(births, 2);
  commit(births, 3);
  const unsure = births.begin();
  unsure.add(written(9));
  unsure.end('unknown');
  clock = 1025;
  t.same([births.oldestMs, births.oldest], [25, 1]);
  births.learn([1], { number: 1, upTo: 1, sightings: [sighting(1, false)] });
  t.same([births.oldestMs, births.oldest], [25, 1], 'seen, but not sealed');
  births.learn([1], { number: 1, upTo: 1, sightings: [sighting(1, true)] });
  t.same([births.oldestMs, births.oldest], [15, 2]);
  births.setAside(2);
  t.same([births.oldestMs, births.oldest], [15, 3]);
  births.learn([2], { number: 2, upTo: 2, sightings: [sighting(2, true)] });
  births.learn([3], { number: 3, upTo: 3, sightings: [sighting(3, true)] });
  t.same([births.oldestMs, births.oldest], [0, undefined], 'what nobody knows to be committed has no age');
  clock = 1040;
  commit(births, 2);
  clock = 1041;
  t.same([births.oldestMs, births.oldest], [1, 2], 'a number that comes again is not set aside any more');
  t.end();
});

test('above the first bound nothing begins, above the second nothing is written, except what says that the record stopped', (t) => {
  const births = new Births({ ...options, entriesMax: 2 });
  commit(births, 1);
  t.equal(births.hasRoom, true);
  commit(births, 2);
  t.equal(births.hasRoom, false);
  t.doesNotThrow(() => births.begin().requireRoom());
  commit(births, 3);
  t.doesNotThrow(() => births.begin().requireRoom());
  commit(births, 4);
  t.throws(() => births.begin().requireRoom(), {
    code: 'unavailable',
    message: 'the record is behind; try again in a moment',
  });
  t.doesNotThrow(() => births.begin(false).requireRoom());
  t.end();
});

test('when the database did not store an entry, its transaction is not committed, and the fault is reported until it was received', (t) => {
  const births = new Births(options);
  clock = 7;
  const draft = births.begin();
  t.doesNotThrow(() => draft.requireWritten());
  draft.refuse('extent.granted', 'has another kind');
  t.throws(() => draft.requireWritten(), {
    code: 'unavailable',
    message: 'an entry of this was not written: nothing was done',
  });
  clock = 8;
  births.begin().refuse('session.opened', 'is gone');
  t.same(births.refusedUntil(7), [{ kind: 'extent.granted', fault: 'has another kind', at: 7 }]);
  t.equal(births.refusedUntil(8).length, 2);
  births.forgetRefused();
  t.same(births.refusedUntil(8), []);
  for (let i = 0; i < 150; i += 1) births.begin().refuse('x', 'y');
  t.equal(births.refusedUntil(8).length, 100, 'as many as are told');
  const old = births.begin();
  births.forget(0);
  t.same(births.refusedUntil(8), []);
  old.refuse('x', 'y');
  t.same(births.refusedUntil(8), [], 'given up with the release');
  t.throws(() => old.requireWritten(), { code: 'unavailable' }, 'and still not committed');
  t.end();
});

test('an entry whose time or number no honest database gives', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  clock = 105;
  t.equal(draft.faultOf({ ...written(1), at: null }, 100), 'came back in a form that no entry has');
  t.equal(draft.faultOf({ ...written(1), id: 'x' }, 100), 'came back in a form that no entry has');
  t.equal(draft.faultOf(written(1), 100), undefined, 'nothing is judged before the clock was read');
  // The database's clock showed `base` between 90 and 95 of our own clock. The entry was sent at 100 and came back at
  // 105.
  const time = (at: number): string => `${new Date(at).toISOString().replace('T', ' ').replace('Z', '000')}+00`;
  const fault = (at: number): string | undefined => draft.faultOf({ ...written(1), at: time(at) }, 100);
  births.heard({ database: atMicros, from: 90, to: 95 });
  t.equal(fault(atMicros + 5 - 10), undefined, 'the earliest time');
  t.match(fault(atMicros + 5 - 11), /^was given the time .*, which the database's clock does not show$/);
  t.equal(fault(atMicros + 15 + 10), undefined, 'the latest time');
  t.match(fault(atMicros + 15 + 11), /does not show/);
  commit(births, 1);
  t.equal(fault(atMicros + 5), 'was given the number 1, which another entry has');
  births.heard(undefined);
  t.equal(fault(atMicros + 60_000), undefined, 'nor while nobody knows by which clock the record goes on');
  t.end();
});

test('the number up to which no entry is missing', (t) => {
  const births = new Births(options);
  t.equal(births.floor, 0);
  births.learn([], { number: 50, upTo: 50, sightings: [] });
  t.equal(births.floor, 50);
  const early = births.begin();
  births.learn([], { number: 90, upTo: 90, sightings: [] });
  const late = births.begin();
  t.equal(births.floor, 50, 'the draft that began first');
  early.end('undone');
  t.equal(births.floor, 90);
  late.add(written(1));
  late.end('committed');
  births.learn([], { number: 120, upTo: 120, sightings: [] });
  t.equal(births.floor, 90, 'the entry that waits');
  t.same(births.learn([1], { number: 120, upTo: 120, sightings: [sighting(1, true)] }), []);
  t.equal(births.floor, 120);
  t.end();
});

test('what was undone is not waited for; a digest is compared like a content; an unsure entry has its whole time', (t) => {
  const births = new Births(options);
  clock = 0;
  const undone = births.begin();
  undone.add(written(1));
  undone.end('undone');
  t.equal(births.size, 0);
  commit(births, 2, 3, 4, 6);
  const digestOf = (id: number): string => textOfWritten(written(id)) ?? '';
  t.match(
    births.learn([2, 3, 4, 6], {
      number: 4,
      upTo: 4,
      sightings: [
        { id: 2, isSealed: true, digest: digestOf(2) },
        { id: 3, isSealed: true, digest: digestOf(2) },
        { id: 4, isSealed: true, content: 'no entry' },
        { id: 6, isSealed: true, content: entry(6).replace('2026-11-29 08:00:00.000001+00', 'infinity') },
      ],
    }),
    [
      { id: 3, is: 'changed' },
      { id: 4, is: 'changed' },
      { id: 6, is: 'changed' },
    ],
  );
  const unsure = births.begin();
  unsure.add(written(5));
  unsure.end('unknown');
  clock = 100;
  births.learn([5], { number: 5, upTo: 5, sightings: [] });
  t.ok(births.ask(10).ids.includes(5), 'until the last millisecond');
  t.same(births.learn([77], { number: 5, upTo: 5, sightings: [] }), [], 'nobody waits for it');
  t.end();
});

test('while the clock is known, two transactions that run cannot have one number', (t) => {
  clock = 0;
  const births = new Births(options);
  births.heard({ database: atMicros, from: 0, to: 0 });
  const [first, second] = [births.begin(), births.begin()];
  first.add(written(7));
  t.equal(second.faultOf(written(7), 0), 'was given the number 7, which another entry has');
  t.throws(() => second.add(written(7)), {
    code: 'unavailable',
    message: 'an entry of this was not written: nothing was done',
  });
  t.throws(() => second.requireWritten(), { code: 'unavailable' }, 'nor is the rest of it committed');
  t.doesNotThrow(() => first.requireWritten());
  t.same(births.refusedUntil(0), [
    { kind: 'extent.granted', fault: 'was given the number 7, which another entry has', at: 0 },
  ]);
  second.end('undone');
  t.type(births.begin().faultOf(written(7), 0), 'string', 'the number is still that of the first');
  first.end('undone');
  const third = births.begin();
  t.equal(third.faultOf(written(7), 0), undefined, 'a number of what was undone is free');
  t.doesNotThrow(() => third.add(written(7)));
  third.end('committed');
  t.throws(() => births.begin().add(written(7)), { code: 'unavailable' }, 'what waits has its number, too');
  births.heard(undefined);
  t.doesNotThrow(() => births.begin().add(written(7)), 'while nobody judges by the clock, numbers may come again');
  t.end();
});

test('a transaction that ended has nothing more to say', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  draft.add(written(1));
  draft.end('committed');
  births.learn([1], { number: 1, upTo: 1, sightings: [sighting(1, true)] });
  draft.end('committed');
  t.equal(births.size, 0);
  t.end();
});

test('a release begins anew: nothing of before is waited for, set aside, or in the way of what comes', (t) => {
  clock = 5;
  const births = new Births(options);
  births.learn([], { number: 90, upTo: 90, sightings: [] });
  commit(births, 1, 2);
  births.setAside(1);
  const before = births.begin();
  before.add(written(3));
  t.match(births.forget(12), [
    { id: 1, kind: 'extent.granted', above: 90, at: 5, isUnsure: false, isOfOtherServer: false },
    { id: 2, kind: 'extent.granted' },
  ]);
  t.same([births.size, births.oldest, births.floor], [0, undefined, 12]);
  const after = births.begin();
  births.learn([], { number: 200, upTo: 200, sightings: [] });
  t.equal(
    births.floor,
    12,
    'what is written after the release may have any number from then on, whatever still runs of before',
  );
  after.add(written(1));
  after.end('committed');
  t.same([births.oldest, births.oldestMs], [1, 0], 'a number that was set aside before is an entry like any other');
  before.end('committed');
  t.equal(births.size, 1, 'what began before the release is not remembered');
  t.end();
});

test('a look that was cut short says how far it came, and never less than before', (t) => {
  const births = new Births(options);
  births.learn([], { number: 50, upTo: 50, sightings: [] });
  commit(births, 1);
  births.learn([1], { number: 100, upTo: 40, sightings: [] });
  t.equal(births.ask(10).above, 50, 'a look that ended before it began');
  births.learn([1], { number: 100, upTo: 70, sightings: [] });
  t.equal(births.ask(10).above, 70);
  t.equal(births.floor, 70);
  births.learn([1], { number: 120, upTo: 120, sightings: [sighting(1, false)] });
  t.equal(births.ask(10).above, 120, 'what still waits gets a number behind those of that moment');
  births.learn([1], { number: 110, upTo: 110, sightings: [sighting(1, false)] });
  t.equal(births.ask(10).above, 120, 'also when an older look comes later');
  t.end();
});

test('a number that was given again after an unknown outcome has its turn behind the others', (t) => {
  const births = new Births(options);
  const unsure = births.begin();
  unsure.add(written(1));
  unsure.end('unknown');
  commit(births, 2);
  commit(births, 1);
  t.same(births.ask(10).ids, [2, 1]);
  t.end();
});
