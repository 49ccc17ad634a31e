// Owns: lists of what a compromised edge does: one call, a flood of one, or a race of two, each about an upload in one
// of its states. Every pair of operations comes up.
import fc from 'fast-check';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { lastPath, type Operation, operations, type Said, saying } from './words.ts';

/**
 * What was done with the upload before the step: nothing, an extent is stored, it was cut and is continued, or it
 * continues a closed version; or it is only offered.
 */
const stages = ['fresh', 'stored', 'resumed', 'based', 'offered'] as const;
export type Stage = (typeof stages)[number];
export type Call = { readonly op: Operation; readonly params: Said; readonly lagMs: number };
export type Step = {
  readonly stage: Stage;
  readonly calls: readonly Call[];
  /** Each call is made this often at once. */
  readonly times: number;
  /**
   * The edge puts other bytes under the tickets of the objects that the calls name: beside the first put, and until the
   * calls are answered, each time after this many milliseconds; null: it does not.
   */
  readonly rewriteMs: number | null;
};

const opened = fc.constantFrom<Stage>('fresh', 'stored', 'stored', 'resumed', 'based');
/** An operation on an offer needs one. */
const needsOffer: readonly Operation[] = ['upload.begin', 'upload.put'];
const stageFor = (...ops: readonly Operation[]): fc.Arbitrary<Stage> =>
  ops.some((op) => needsOffer.includes(op))
    ? fc.oneof({ weight: 4, arbitrary: fc.constant<Stage>('offered') }, { weight: 1, arbitrary: opened })
    : fc.oneof({ weight: 6, arbitrary: opened }, { weight: 1, arbitrary: fc.constant<Stage>('offered') });
const lagMs = fc.constantFrom(0, 0, 0, 1, 3, 10);
const rewriteMs = fc.constantFrom(null, null, 1, 3, 8, 20);

const call = (op: Operation, aim: 'one-thing' | 'anything'): fc.Arbitrary<Call> =>
  fc.record({ op: fc.constant(op), params: saying(op, aim), lagMs });

const single: fc.Arbitrary<Step> = fc.constantFrom(...operations).chain((op) =>
  fc.record({
    stage: stageFor(op),
    calls: fc.tuple(call(op, 'anything')),
    times: fc.constantFrom(1, 1, 1, 2, 8, 32),
    rewriteMs,
  }),
);

/** Two operations at once; with one operation twice, half of the time the very same call. */
function race(a: Operation, b: Operation): fc.Arbitrary<Step> {
  const twice = fc
    .tuple(call(a, 'one-thing'), fc.constantFrom(0, 1, 3))
    .map(([one, lag]) => [one, { ...one, lagMs: lag }]);
  const two: fc.Arbitrary<readonly Call[]> = fc.tuple(call(a, 'one-thing'), call(b, 'one-thing'));
  return fc.record({
    stage: stageFor(a, b),
    calls: a === b ? fc.oneof(twice, two) : two,
    times: fc.constantFrom(1, 1, 1, 4),
    rewriteMs,
  });
}

/** Every pair once, in an order that depends only on the table: neighbours in the table are far apart. */
export const pairs: readonly (readonly [Operation, Operation])[] = operations
  .flatMap((a, i) => operations.slice(i).map((b) => [a, b] as const))
  .map((pair, i, all) => ({ pair, rank: (i * 211) % all.length, i }))
  .sort((x, y) => x.rank - y.rank || x.i - y.i)
  .map(({ pair }) => pair);
const pairsPerList = 12;
export const listsForAllPairs = Math.ceil(pairs.length / pairsPerList);

const floodTimes = 250;
/**
 * The very same call, so often at once that its use of shared resources can be measured, while the objects that it
 * names are put anew.
 */
const flood = (op: Operation): fc.Arbitrary<Step> =>
  fc.record({
    stage: stageFor(op),
    calls: fc.tuple(call(op, 'one-thing')),
    times: fc.constant(floodTimes),
    rewriteMs: fc.constantFrom(1, 3, 8, 20),
  });

/**
 * The list of one seed: the next pairs, a flood of the next operation, and some single calls. Leaving steps out makes a
 * shorter list.
 */
export function steps(seed: number): fc.Arbitrary<readonly Step[]> {
  const from = (seed % listsForAllPairs) * pairsPerList;
  const races = pairs.slice(from, from + pairsPerList).map(([a, b]) => fc.option(race(a, b), { freq: 50 }));
  return fc
    .tuple(
      fc.tuple(...races),
      fc.option(flood(operations[seed % operations.length] ?? operations[0] ?? 'node.hello'), { freq: 50 }),
      fc.array(single, { minLength: 2, maxLength: 8 }),
    )
    .map(([raced, flooded, alone]) => [...raced, flooded, ...alone].filter((one) => one !== null));
}

/** A directory is made, and removed: chance seldom names one directory twice in a row. */
const madeAndRemoved: readonly Step[] = (['tree.make-directory', 'tree.remove-directory'] as const).map((op) => ({
  stage: 'fresh',
  calls: [
    {
      op,
      params: {
        fields: { token: { word: 'token', of: 'mine', n: 0 }, path: { word: 'path', of: 'mine', n: lastPath } },
      },
      lagMs: 0,
    },
  ],
  times: 1,
  rewriteMs: null,
}));

const formOf = (op: Operation): string => Object.keys(edgeToWarden[op].params.shape).sort().join(' ');
const callsForAnAnswer = 24;
/**
 * A list that is about one operation, among others of the same form, which may make what it needs: a directory is made
 * before it is removed.
 */
export function about(op: Operation): fc.Arbitrary<readonly Step[]> {
  const alike = operations.filter((one) => formOf(one) === formOf(op));
  const one = fc.oneof({ weight: 2, arbitrary: fc.constant(op) }, { weight: 1, arbitrary: fc.constantFrom(...alike) });
  const alone = one.chain((chosen) =>
    fc.record({
      stage: stageFor(chosen),
      calls: fc.tuple(call(chosen, 'one-thing')),
      times: fc.constant(1),
      rewriteMs: fc.constant(null),
    }),
  );
  return fc
    .array(alone, { minLength: callsForAnAnswer, maxLength: callsForAnAnswer })
    .map((list) => (op === 'tree.remove-directory' ? [...list, ...madeAndRemoved] : list));
}

/** A list as a report shows it, one step a line. */
export const describe = (list: readonly Step[]): string => list.map((one) => JSON.stringify(one)).join('\n');
