// The frames between edge and store: cut the same however the stream arrives, waiting for room, and refused when they
// have not the form of a frame.
import { randomBytes } from 'node:crypto';
import { test } from 'tap';
import { bodyBytesMax, FrameCutter, frameHead, type Head } from '../../server/rpc/store-frames.ts';

type Taken = Head & { readonly body: string };

/** A taker that has room for this many bodies at once. */
function taker(rooms: number): { readonly cutter: FrameCutter; readonly taken: Taken[]; free(): void } {
  const taken: Taken[] = [];
  let free = rooms;
  const cutter = new FrameCutter({
    room: ({ length }) => {
      if (free === 0) return undefined;
      free -= 1;
      return Buffer.alloc(length + 10);
    },
    take: (head, memory) => void taken.push({ ...head, body: memory.toString('hex', 0, head.length) }),
  });
  return {
    cutter,
    taken,
    free: () => {
      free += 1;
    },
  };
}

const frames = [0, 1, 11, 12, 13, 5000, bodyBytesMax].map((length, put) => ({
  type: 2,
  put,
  length,
  bytes: randomBytes(length),
}));
const stream = Buffer.concat(frames.flatMap(({ type, put, length, bytes }) => [frameHead(type, put, length), bytes]));
const expected = frames.map(({ bytes, ...head }) => ({ ...head, body: bytes.toString('hex') }));

test('a stream is cut the same in pieces of any size, with room and without', (t) => {
  for (const size of [1, 7, 12, 13, 65_536, stream.length])
    for (const rooms of [1, 2, frames.length]) {
      const { cutter, taken, free } = taker(rooms);
      let at = 0;
      for (let rounds = 0; at < stream.length && rounds < 2 * stream.length; rounds += 1) {
        const chunk = Buffer.from(stream.subarray(at, at + size));
        const used = cutter.push(chunk);
        at += used;
        // What the socket gave is used again.
        chunk.fill(0);
        if (used < Math.min(size, chunk.length)) {
          t.ok(taken.length >= rooms, 'it stops where there is no room');
          free();
        }
      }
      while (taken.length < frames.length) {
        free();
        cutter.push(Buffer.alloc(0));
      }
      t.same(taken, expected, `pieces of ${size} bytes, room for ${rooms}`);
    }
  t.end();
});

test('what is no head of a frame is refused before there is memory for its body', (t) => {
  const bad = (change: (head: Buffer) => void): Buffer => {
    const head = frameHead(2, 1, 10);
    change(head);
    return head;
  };
  for (const [why, head] of [
    ['a body that is too long', bad((head) => head.writeUInt32BE(bodyBytesMax + 1, 8))],
    ['a body of 4 GiB', bad((head) => head.writeUInt32BE(0xffff_ffff, 8))],
    ['bytes that must be zero', bad((head) => head.writeUInt8(1, 3))],
  ] as const) {
    const { cutter, taken } = taker(1);
    t.throws(() => cutter.push(head), { code: 'invalid' }, why);
    t.same(taken, []);
  }
  t.end();
});
