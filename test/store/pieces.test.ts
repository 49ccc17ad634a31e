// T-35: the memory for pieces is one pool that outlives the connections of edges: bounded, used again, and given in the
// order in which it was asked for.
import { test } from 'tap';
import type { Claim, Share } from '../../server/domain/share.ts';
import { Slots } from '../../server/rpc/slots.ts';
import { bodyBytesMax } from '../../server/rpc/store-frames.ts';
import { Pieces } from '../../server/store/pieces.ts';

const share: Share = { of: 'node', what: 'pieces', total: 6, each: 3, reserve: 2, waiting: 0, waitMs: 0 };
const p: Claim = { holder: 'p1', group: 'partner' };
const q: Claim = { holder: 'p2', group: 'partner' };
const i: Claim = { holder: 'i1', group: 'internal' };
const nobody = (): void => {};

function setUp() {
  let made = 0;
  const memory = (bytes: number): Buffer => {
    made += 1;
    return Buffer.alloc(bytes);
  };
  return { pieces: new Pieces({ memory }, new Slots(share)), made: () => made };
}

/** Takes what must be there. */
function taken(pieces: Pieces, claim: Claim): Buffer {
  const memory = pieces.take(claim, nobody);
  if (memory === undefined) throw new Error('there is no memory');
  return memory;
}

test('memory is made once and used again, by whichever edge comes next', async (t) => {
  const { pieces, made } = setUp();
  const first = taken(pieces, p);
  t.equal(first.length, bodyBytesMax);
  for (let round = 0; round < 100; round += 1) {
    const second = taken(pieces, round % 2 === 0 ? q : i);
    t.not(second, first, 'never two have the same');
    pieces.give(second);
  }
  t.equal(made(), 2);
  pieces.give(first);
  t.throws(() => pieces.give(first), { code: 'bug' }, 'and it is given back once');
  t.throws(() => pieces.give(Buffer.alloc(bodyBytesMax)), { code: 'bug' }, 'by whoever had it');
});

test('no node takes more than its share, and no plane what is kept for the other', async (t) => {
  const { pieces, made } = setUp();
  const mine = [1, 2, 3].map(() => taken(pieces, p));
  t.equal(pieces.take(p, nobody), undefined, 'the share of a node');
  taken(pieces, q);
  t.equal(pieces.take(q, nobody), undefined, 'the part of a plane');
  taken(pieces, i);
  taken(pieces, i);
  t.equal(pieces.take(i, nobody), undefined, 'there are no more');
  t.equal(made(), share.total);
  pieces.give(mine[0] ?? Buffer.alloc(0));
  taken(pieces, i);
  t.equal(made(), share.total, 'and never are');
});

test('whoever found none is told when to ask again, in order, once, and not after leaving', async (t) => {
  const { pieces } = setUp();
  const mine = [1, 2, 3].map(() => taken(pieces, p));
  const told: string[] = [];
  const waits = (name: string): (() => void) => {
    const wake = (): void => {
      const memory = pieces.take(p, wake);
      told.push(`${name} ${memory === undefined ? 'waits on' : 'has some'}`);
    };
    t.equal(pieces.take(p, wake), undefined);
    return wake;
  };
  waits('first');
  const left = waits('left');
  waits('third');
  pieces.leave(left);
  const [one, two, three] = mine as [Buffer, Buffer, Buffer];
  pieces.give(one);
  t.same(told.splice(0), ['first has some', 'third waits on']);
  pieces.give(two);
  t.same(told.splice(0), ['third has some']);
  pieces.give(three);
  t.same(told, [], 'nobody waits any more');
});

test('who asks again and takes none keeps it from nobody', async (t) => {
  const { pieces } = setUp();
  const [one] = [1, 2, 3].map(() => taken(pieces, p)) as [Buffer];
  t.equal(pieces.take(p, nobody), undefined, 'it has ended meanwhile');
  let got: Buffer | undefined;
  const wake = (): void => {
    got = pieces.take(p, wake);
  };
  t.equal(pieces.take(p, wake), undefined);
  pieces.give(one);
  t.equal(got, one);
});
