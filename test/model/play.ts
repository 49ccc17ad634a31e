// Owns: runs of the model by seed, until a time is over; a failing list is shrunk, and printed in a form that can be
// replayed.
import fc from 'fast-check';
import { Run } from './run.ts';
import type { Scene } from './scene.ts';
import { describe, type Move, moves, type Rare } from './steps.ts';

/** Shrinking a failing list takes at most this long. */
const shrinkMs = 90_000;

export type Played = { readonly seeds: number; readonly steps: number; readonly violations: readonly string[] };

/**
 * Plays lists of moves from `seed` on until `untilMs` (wall clock, milliseconds), or `seedsMax` lists. Ends with the
 * first seed that shows a violation, unless it is told to continue.
 */
export async function play(
  scene: Scene,
  options: { readonly seed: number; readonly untilMs: number; readonly rare: Rare; readonly goesOn?: boolean },
): Promise<Played> {
  let seeds = 0;
  let steps = 0;
  const violations: string[] = [];
  for (let seed = options.seed; Date.now() < options.untilMs; seed += 1) {
    const checked = await fc.check(
      fc.asyncProperty(moves(options.rare), async (list: readonly Move[]) => {
        const outcome = await new Run(scene).play(list);
        steps += outcome.steps;
        if (outcome.violations.length > 0) throw new Error(outcome.violations.join('\n'));
      }),
      // Moves that meet are in long lists.
      {
        seed,
        numRuns: 1,
        unbiased: true,
        endOnFailure: options.goesOn === true,
        interruptAfterTimeLimit: shrinkMs,
      },
    );
    seeds += 1;
    if (checked.failed) {
      const [list = []] = checked.counterexample ?? [];
      const why =
        checked.errorInstance instanceof Error ? checked.errorInstance.message : String(checked.errorInstance);
      violations.push(`seed ${seed}, shrunk ${checked.numShrinks} times\n${describe(list)}\n=> ${why}`);
      if (options.goesOn !== true) break;
    }
  }
  return { seeds, steps, violations };
}
