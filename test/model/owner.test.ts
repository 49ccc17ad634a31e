// Random moves of clients while the owner of the database touches any row.
import { t as file, test } from 'tap';
import { sealCheckEveryMs } from './owner.ts';
import { play } from './play.ts';
import { Scene } from './scene.ts';
import { nothingRare } from './steps.ts';

/** `npm run soak:model -- MINUTES SEED owner` plays for as long as it is told. */
const playMs = 45_000;
const seed = 1;
const scene = await Scene.start(file, { sealCheckEveryMs });
await scene.placeStanding();

test('the owner of the database touches any row between any two moves: it is found, and nobody reads what others completed', async (t) => {
  const played = await play(scene, { seed, untilMs: Date.now() + playMs, rare: { ...nothingRare, owner: true } });
  t.same(played.violations, [], `seeds from ${seed} on`);
  const { touched, mustFind, found, whole } = scene.tally;
  t.ok(touched > 0, `${touched} rows were touched`);
  t.ok(whole > touched, `${whole} files were got whole meanwhile`);
  t.equal(found, mustFind, 'what must be found is found');
  t.comment(JSON.stringify({ ...scene.tally, completed: undefined }));
});
