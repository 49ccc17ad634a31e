// Owns: what a process remembers of its entries, without a database: in any order of writes, looks and seals, an honest record is never accused and a touched one always is.
import { test } from 'tap';
import { Births, type BirthsOptions, type Sighting } from '../../server/domain/ledger/births.ts';
import { parseEntry, type WrittenEntry } from '../../server/domain/ledger/written.ts';

let clock = 0;
const options: BirthsOptions = { digestOf: (content) => content, now: () => clock, entriesMax: 1000, unsureMs: 100, clockJumpMs: 10 };
const entry = (id: number, word = 'x'): string =>
  `(${id},"2026-11-29 08:00:00.000001+00",extent.granted,warden,,,,,,,,,,{},${word},,,,,,{})`;
const written = (id: number, word?: string): WrittenEntry => {
  const one = parseEntry(entry(id, word));
  if (one === undefined) throw new Error('no entry');
  return one;
};
const sighting = (id: number, isSealed: boolean, word = 'x'): Sighting => ({ id, content: entry(id, word), isSealed });

test('gone, changed, and what is no fault', (t) => {
  const births = new Births(options);
  const draft = births.begin();
  for (const id of [1, 2, 3, 4]) draft.add(written(id));
  t.equal(births.size, 0, 'not before the commit');
  draft.end('committed');
  t.same(births.ask(10), { ids: [1, 2, 3, 4], above: 0 });
  t.same(births.ask(2), { ids: [1, 2], above: 0 }, 'a bounded question');
  t.same(births.learn([1, 2, 3, 4], { number: 7, upTo: 7, sightings: [sighting(1, true), sighting(2, false), sighting(3, true, 'y')] }), [
    { id: 3, kind: 'extent.granted', is: 'changed', isOfOtherServer: false },
    { id: 4, kind: 'extent.granted', is: 'gone', isOfOtherServer: false },
  ]);
  t.same(births.ask(10), { ids: [3, 4, 2], above: 0 }, 'a miss stays; what waits has its turn behind the others');
  t.same(births.ask(1), { ids: [3], above: 0 });
  t.throws(() => {
    const odd = births.begin();
    odd.add({ ...written(1), id: '-1' });
    odd.end('committed');
  }, /gave back no entry/);
  t.end();
});

test('a look that did not get to the end of the numbers accuses nobody, and the next one goes on there', (t) => {
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

test('a draft that began before a look is looked for above what was seen then; one of an era that is over is nothing', (t) => {
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

test('nobody knows how it ended: asked for until no server can be at it, and then forgotten; seen once, it is as any other', (t) => {
  const births = new Births(options);
  clock = 0;
  const draft = births.begin();
  draft.add(written(1));
  draft.add(written(2));
  draft.end('unknown');
  t.same(births.learn([1, 2], { number: 5, upTo: 5, sightings: [sighting(2, false)] }), []);
  t.match(births.learn([2], { number: 5, upTo: 5, sightings: [] }), [{ id: 2, is: 'gone' }]);
  clock = 101;
  t.same(births.learn([1], { number: 5, upTo: 5, sightings: [] }), []);
  t.same(births.ask(10).ids, [2]);
  t.end();
});

test('savepoints: what is undone in the middle of a transaction is not waited for', (t) => {
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

test('savepoints of one name within each other: the outer one undoes what the inner ones left', (t) => {
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
  t.match(births.learn([1], { number: 5, upTo: 5, sightings: [{ id: 1, content: entry(1, 'second'), isSealed: true }] }), [
    { id: 1, is: 'changed', isOfOtherServer: true },
  ]);
  t.end();
});

test('any order of writes, seals and looks: an honest record is never accused, a touched one is by the first whole look', (t) => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  for (let run = 0; run < 200; run += 1) {
    const births = new Births(options);
    let next = 1;
    let number = 0;
    const waiting: number[] = [];
    const sealed: { id: number; number: number }[] = [];
    let touched = false;
    const open: { draft: ReturnType<Births['begin']>; ids: number[] }[] = [];
    const lookOnce = (numbersMax: number): number => {
      const { ids, above } = births.ask(1 + random(20));
      const upTo = Math.min(number, above + numbersMax);
      const sightings = [
        ...waiting.filter((id) => ids.includes(id)).map((id) => sighting(id, false)),
        ...sealed.filter((one) => ids.includes(one.id) && one.number > above && one.number <= upTo).map(({ id }) => sighting(id, true)),
      ];
      return births.learn(ids, { number, upTo, sightings }).length;
    };
    for (let step = 0; step < 120; step += 1) {
      const dice = random(10);
      if (dice < 3) open.push({ draft: births.begin(), ids: [] });
      else if (dice < 5 && open.length > 0) {
        // Committed at the server; the answer comes a little later, and others seal meanwhile.
        const one = open[random(open.length)];
        if (one !== undefined && one.ids.length === 0) {
          one.ids.push(next);
          waiting.push(next);
          next += 1;
        }
      } else if (dice < 7 && open.length > 0) {
        const [one] = open.splice(random(open.length), 1);
        for (const id of one?.ids ?? []) one?.draft.add(written(id));
        one?.draft.end('committed');
      } else if (dice < 8) {
        for (const id of waiting.splice(0, random(4))) {
          number += 1;
          sealed.push({ id, number });
        }
      } else if (!touched) t.equal(lookOnce(1 + random(5)), 0, `run ${run}, step ${step}`);
      if (run % 2 === 1 && step === 100 && waiting.length > 0) touched = waiting.splice(0).length > 0;
    }
    for (const { draft, ids } of open) {
      for (const id of ids) draft.add(written(id));
      draft.end('committed');
    }
    let found = 0;
    for (let i = 0; i < 400; i += 1) found += lookOnce(1000);
    t.equal(found > 0, touched, `run ${run}`);
  }
  t.end();
});
