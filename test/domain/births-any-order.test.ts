// What a process remembers about its own entries: in any order of writes, looks and seals, an honest record is never
// reported, and an altered one always is.
import { test } from 'tap';
import { Births, type BirthsOptions, type Sighting } from '../../server/domain/ledger/births.ts';
import { parseEntry, type WrittenEntry } from '../../server/domain/ledger/written.ts';

const options: BirthsOptions = {
  digestOf: (content) => content,
  now: () => 0,
  entriesMax: 1000,
  unsureMs: 100,
  clockJumpMs: 10,
};
const entry = (id: number): string =>
  `(${id},"2026-11-29 08:00:00.000001+00",extent.granted,warden,,,,,,,,,,{},x,,,,,,{})`;
const written = (id: number): WrittenEntry => {
  const one = parseEntry(entry(id));
  if (one === undefined) throw new Error('no entry');
  return one;
};
const sighting = (id: number, isSealed: boolean): Sighting => ({ id, content: entry(id), isSealed });

test('in any order of writes, seals and looks, honest records are never reported, and altered ones by the first complete look', (t) => {
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
        ...sealed
          .filter((one) => ids.includes(one.id) && one.number > above && one.number <= upTo)
          .map(({ id }) => sighting(id, true)),
      ];
      return births.learn(ids, { number, upTo, sightings }).length;
    };
    for (let step = 0; step < 120; step += 1) {
      const dice = random(10);
      if (dice < 3) open.push({ draft: births.begin(), ids: [] });
      else if (dice < 5 && open.length > 0) {
        // Committed at the server. The answer arrives a little later, and others seal meanwhile.
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
