// What the walk states is derived from the table of operations: all of it, also an operation of tomorrow, and mostly
// what could be true.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { test } from 'tap';
import { z } from 'zod';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { edgeWords } from '../../server/rpc/edge-words.ts';
import { UserKey } from '../support/impostor.ts';
import { PlayedNode } from './node.ts';
import { Player } from './player.ts';
import { type Cast, speak } from './resolve.ts';
import { about, listsForAllPairs, pairs, steps } from './steps.ts';
import { operations, possibleValues, sayingOf } from './words.ts';

const node = new PlayedNode({ socket: '/nonexistent', store: '/nonexistent', user: null });
const player = (name: string): Player =>
  new Player(node, { name, key: new UserKey(), customer: 'bank', customerId: randomUUID() });
const cast: Cast = {
  mine: player('mine'),
  sibling: player('sibling'),
  other: player('other'),
  foreign: player('foreign'),
  enrolling: player('enrolling'),
  ended: player('ended'),
};
node.challenge = '00'.repeat(8);
// Several: each may be named once.
node.hostKeys = Array.from({ length: 8 }, (_, i) => `AAA${'ABCDEFGH'[i]}`);

/** How many of 200 calls have the form that they must have. */
function fitting(schema: z.ZodType, aim: 'one-thing' | 'anything'): number {
  const said = fc.sample(sayingOf(schema, aim), { numRuns: 200, seed: 1 });
  return said.filter((params) => schema.safeParse(speak({ op: 'tree.stat', params, lagMs: 0 }, cast).params).success)
    .length;
}

test('every operation of the table is called, mostly in its form and sometimes not', async (t) => {
  t.same(operations, Object.keys(edgeToWarden));
  for (const [op, { params }] of Object.entries(edgeToWarden))
    t.ok(fitting(params, 'one-thing') > 100, `${op} in its form`);
  const impossible = operations.filter((op) => fitting(edgeToWarden[op].params, 'anything') < 200);
  t.ok(impossible.length > operations.length / 2, 'and not in its form');
});

test('an operation that nobody has written yet is walked', async (t) => {
  const tomorrow = z.strictObject({
    token: edgeWords.token,
    of: z.array(z.strictObject({ upload: edgeWords.upload, how: z.enum(['this', 'that']) })).max(3),
    either: z.union([
      z.strictObject({ type: z.literal('a'), quietMs: edgeWords.quietMs }),
      z.strictObject({ type: z.literal('b') }),
    ]),
    perhaps: edgeWords.verdictText.optional(),
  });
  t.ok(fitting(tomorrow, 'anything') > 100);
  for (const word of Object.keys(edgeWords)) t.ok(possibleValues(word).length > 0, `${word} can be something`);
});

test('every pair of operations comes up', async (t) => {
  t.equal(pairs.length, (operations.length * (operations.length + 1)) / 2);
  const raced = new Set<string>();
  for (let seed = 0; seed < listsForAllPairs; seed += 1)
    for (const { calls } of fc.sample(steps(seed), { numRuns: 3, seed }).flat())
      if (calls.length === 2) raced.add(calls.map((one) => one.op).join(' '));
  t.equal(raced.size, pairs.length);
});

test('a list can be about any operation, among those of its form', async (t) => {
  for (const op of operations)
    t.ok(
      fc
        .sample(about(op), { numRuns: 1, seed: 1 })
        .flat()
        .some(({ calls }) => calls[0]?.op === op),
      op,
    );
  const said = fc.sample(about('tree.remove-directory'), { numRuns: 4, seed: 1 }).flat();
  t.ok(
    said.some(({ calls }) => calls[0]?.op === 'tree.make-directory'),
    'a directory is made before it is removed',
  );
});
