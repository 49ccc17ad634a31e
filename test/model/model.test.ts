import { test } from 'tap';
import { play } from './play.ts';
import { Scene } from './scene.ts';

/** Long enough for some two hundred lists on a free machine; `npm run soak:model` plays for as long as it is told. */
const playMs = 75_000;
/** The same lists in every run; the soak takes others each time. */
const seed = 1;

test('whatever clients do, in any order: what is acknowledged is there, what is visible is whole, what is published stays', async (t) => {
  const scene = await Scene.start(t);
  const played = await play(scene, { seed, untilMs: Date.now() + playMs, rare: { drip: false, kill: false } });
  t.same(played.violations, [], `seeds from ${seed} on`);
  t.ok(played.steps > played.seeds, 'moves were made');
  t.comment(`${played.seeds} lists of moves from seed ${seed} on, ${played.steps} moves`);
});
