// Owns: `npm run soak:model -- MINUTES [SEED]`: the model for long, kills of roles or faults at every seam included. Its last line:
// {"seeds","steps","violations"}.
import { play } from './play.ts';
import { Scene } from './scene.ts';

const minutes = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Math.floor(Date.now() / 1000));
/**
 * `drips`, `kills`: left out. `on`: goes on after a violation, without shrinking. `faults`: answers between edge and warden go wrong, and the file systems of
 * both refuse; then no role is killed, and nothing is slow. `wire`, `store`: one of both.
 */
const without = process.argv.slice(4);
const works: (() => Promise<unknown> | unknown)[] = [];
const t = { teardown: (work: () => Promise<unknown> | unknown) => void works.unshift(work) };
try {
  const scene = await Scene.start(t);
  const hasFaults = ['faults', 'wire', 'store'].some((word) => without.includes(word));
  if (hasFaults) await scene.placeWire(t);
  const untilMs = Date.now() + minutes * 60_000;
  const played = await play(scene, {
    seed,
    untilMs,
    rare: hasFaults
      ? { drip: false, kill: false, wire: !without.includes('store'), store: !without.includes('wire') }
      : { drip: !without.includes('drips'), kill: !without.includes('kills'), wire: false, store: false },
    goesOn: without.includes('on'),
  });
  if (scene.wire !== undefined) process.stdout.write(`faults on the wire: ${JSON.stringify(scene.wire.happened)}\n`);
  for (const one of played.violations) process.stdout.write(`${one}\n`);
  process.stdout.write(
    `${JSON.stringify({ seeds: played.seeds, steps: played.steps, violations: played.violations.length, firstSeed: seed })}\n`,
  );
  process.exitCode = played.violations.length === 0 ? 0 : 1;
} finally {
  for (const work of works) await work();
}
