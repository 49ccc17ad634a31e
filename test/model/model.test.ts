// Random moves of clients, with and without faults, compared with a model of what they may see.
import { t as file, test } from 'tap';
import { wireFaults } from '../support/warden-wire.ts';
import { play } from './play.ts';
import { Run } from './run.ts';
import { Scene } from './scene.ts';
import { seams } from './seams.ts';
import { describe, nothingRare } from './steps.ts';

/** Long enough for about two hundred lists on a free machine; `npm run soak:model` plays for as long as it is told. */
const playMs = 75_000;
const faultsMs = 20_000;
/** The same lists in every run; the soak takes others each time. */
const seed = 1;
const scene = await Scene.start(file);

test('whatever clients do, in any order: what is acknowledged is there, what is visible is whole, what is published stays', async (t) => {
  const played = await play(scene, { seed, untilMs: Date.now() + playMs, rare: nothingRare });
  t.same(played.violations, [], `seeds from ${seed} on`);
  t.ok(played.steps > played.seeds, 'moves were made');
  t.comment(`${played.seeds} lists of moves from seed ${seed} on, ${played.steps} moves`);
});

test('while answers between edge and warden are refused, lost and late, receipts stay true, and trying again succeeds', async (t) => {
  await scene.placeWire(file);
  for (const [at, list] of seams.entries()) {
    const { violations } = await new Run(scene).play(list);
    t.same(violations, [], `each call on its way: ${wireFaults[at]}`);
    if (violations.length > 0) t.comment(describe(list));
  }
  const played = await play(scene, { seed, untilMs: Date.now() + faultsMs, rare: { ...nothingRare, wire: true } });
  t.same(played.violations, [], `seeds from ${seed} on`);
  const happened = scene.wire?.happened ?? {};
  for (const fault of wireFaults) t.ok((happened[fault] ?? 0) >= 5, `${fault}: ${happened[fault]}`);
  t.comment(`${played.seeds} lists of moves from seed ${seed} on, ${played.steps} moves; ${JSON.stringify(happened)}`);
});
