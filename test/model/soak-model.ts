// Owns: `npm run soak:model -- MINUTES [SEED]`: the model for long, with kills of roles, faults of every kind, or a
// dishonest owner of the database. Its last line: {"seeds","steps","violations"}.
import { longRun } from '../support/long-run.ts';
import { sealCheckEveryMs } from './owner.ts';
import { play } from './play.ts';
import { Scene } from './scene.ts';
import { nothingRare } from './steps.ts';

const minutes = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Math.floor(Date.now() / 1000));
/**
 * `drips`, `kills`: left out. `on`: continues after a violation, without shrinking. `faults`: answers between edge and
 * warden go wrong, and the file systems of both refuse; then no role is killed, and nothing is slow. `wire`, `store`:
 * only one of the two. `owner`: the owner of the database touches rows, and no other rare move is made; the last line
 * but one says what became of it.
 */
const without = process.argv.slice(4);
await longRun(async (t) => {
  const hasOwner = without.includes('owner');
  const scene = await Scene.start(t, hasOwner ? { sealCheckEveryMs } : {});
  if (hasOwner) await scene.placeStanding();
  const hasFaults = ['faults', 'wire', 'store'].some((word) => without.includes(word));
  if (hasFaults) await scene.placeWire(t);
  const untilMs = Date.now() + minutes * 60_000;
  const played = await play(scene, {
    seed,
    untilMs,
    rare: hasOwner
      ? { ...nothingRare, owner: true }
      : hasFaults
        ? { ...nothingRare, wire: !without.includes('store'), store: !without.includes('wire') }
        : { ...nothingRare, drip: !without.includes('drips'), kill: !without.includes('kills') },
    goesOn: without.includes('on'),
  });
  if (scene.wire !== undefined) process.stdout.write(`faults on the wire: ${JSON.stringify(scene.wire.happened)}\n`);
  if (hasOwner) {
    const { touched, mustFind, found, worstSeconds, late, byClass } = scene.tally;
    process.stdout.write(`${JSON.stringify({ owner: { touched, mustFind, found, worstSeconds }, byClass, late })}\n`);
  }
  for (const one of played.violations) process.stdout.write(`${one}\n`);
  process.stdout.write(
    `${JSON.stringify({ seeds: played.seeds, steps: played.steps, violations: played.violations.length, firstSeed: seed })}\n`,
  );
  return played.violations.length === 0;
});
