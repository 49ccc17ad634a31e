// Which checkpoints of a witness one call brings: whatever an era began and ended with, and the newest.
import { test } from 'tap';
import { thinned } from '../../admin-cli/witness.ts';
import { checkpointBody, noteText, originOf } from '../../server/domain/ledger/checkpoint.ts';

const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
const note = (era: number, size: number): string => {
  const body = checkpointBody({ origin, size, root: `${'A'.repeat(43)}=`, era, time: '2026-11-24T18:00:00.000Z' });
  return noteText(body, origin, `${'B'.repeat(91)}=`);
};

test('a long witness is thinned out, and the borders of every era stay', (t) => {
  const lengths = [700, 1, 2, 500, 3, 900];
  const eras = lengths.map((length, i) => Array.from({ length }, (_, k) => note(i + 1, i * 1000 + k)));
  const all = eras.flat();
  const kept = thinned(all);
  for (const [i, era] of eras.entries()) {
    t.ok(kept.includes(era[0] ?? ''), `the first of era ${i + 1}`);
    t.ok(kept.includes(era.at(-1) ?? ''), `the last of era ${i + 1}`);
  }
  t.equal(kept.at(-1), all.at(-1), 'the newest');
  t.same(
    kept,
    all.filter((one) => kept.includes(one)),
    'each once, in their order',
  );
  t.ok(kept.length <= 180, `${kept.length}`);
  t.same(thinned(all.slice(0, 180)), all.slice(0, 180), 'a short one is brought whole');
  t.end();
});
