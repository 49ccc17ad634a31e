// Writes that arrive out of order, within a window.
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'tap';
import { ReorderWindow } from '../../server/edge/sftp/reorder.ts';

/** Counts what is kept; `roomBytes` is all that there is. */
function account(roomBytes = Number.POSITIVE_INFINITY) {
  const kept = {
    bytes: 0,
    takeEarly: (bytes: number): boolean => {
      if (kept.bytes + bytes > roomBytes) return false;
      kept.bytes += bytes;
      return true;
    },
    giveEarly: (bytes: number): void => {
      kept.bytes -= bytes;
    },
  };
  return kept;
}

test('writes in any order within the window come out in sequence', async (t) => {
  for (let round = 0; round < 300; round += 1) {
    const whole = randomBytes(randomInt(1, 5000));
    const pieces: { at: number; bytes: Buffer }[] = [];
    for (let at = 0; at < whole.length; ) {
      const count = Math.min(whole.length - at, randomInt(1, 400));
      pieces.push({ at, bytes: whole.subarray(at, at + count) });
      at += count;
    }
    // Neighbours are exchanged, never further apart than the window.
    for (let i = 0; i + 1 < pieces.length; i += randomInt(2, 4))
      [pieces[i], pieces[i + 1]] = [pieces[i + 1] as never, pieces[i] as never];
    const kept = account();
    const window = new ReorderWindow(0, 2000, kept);
    const out = pieces.flatMap((piece) => {
      // The buffer that was given belongs to somebody else afterwards.
      const given = Buffer.from(piece.bytes);
      const ready = window.write(piece.at, [given]).map((one) => Buffer.from(one));
      given.fill(0xee);
      return ready;
    });
    if (!Buffer.concat(out).equals(whole) || window.hasGap || kept.bytes !== 0) t.fail(`round ${round}`);
  }
  t.pass('300 rounds');
});

test('writes behind the position, too far ahead, or twice are refused, and nothing is lost', async (t) => {
  const window = new ReorderWindow(100, 1000, account());
  t.same(window.write(100, [Buffer.from('abc')]).length, 1);
  t.throws(() => window.write(100, [Buffer.from('abc')]), { code: 'unsupported' }, 'written already');
  t.throws(() => window.write(2000, [Buffer.from('x')]), { code: 'unsupported' }, 'too far ahead');
  t.same(window.write(110, [Buffer.from('later')]), [], 'kept');
  t.throws(() => window.write(110, [Buffer.from('other')]), { code: 'unsupported' }, 'the same place again');
  t.ok(window.hasGap);
  t.equal(Buffer.concat(window.write(103, [Buffer.from('1234567')]) as Buffer[]).toString(), '1234567later');
  t.notOk(window.hasGap);
  t.equal(window.position, 115);
});

test('what waits is a copy, is counted with its cost, is limited in number, and is given back', (t) => {
  const kept = account();
  const window = new ReorderWindow(0, 100_000, kept);
  const socket = Buffer.alloc(65_536);
  for (let i = 0; i < 256; i += 1) window.write(10 + 2 * i, [socket.subarray(i, i + 1)]);
  t.equal(kept.bytes, 256 * (1 + 256), 'each piece with its place');
  t.throws(
    () => window.write(9000, [Buffer.of(1)]),
    { code: 'unsupported', message: /too far ahead/ },
    'one more than 256',
  );
  t.same(window.write(0, [Buffer.alloc(10)]).length, 2, 'the first of them has its turn');
  t.equal(kept.bytes, 255 * 257);
  t.same(window.write(9000, [Buffer.of(1)]), [], 'and its place is free');
  window.drop();
  t.equal(kept.bytes, 0, 'an end gives everything back');
  t.notOk(window.hasGap);
  const poor = account(1000);
  const tight = new ReorderWindow(0, 100_000, poor);
  t.same(tight.write(100, [Buffer.alloc(700)]), []);
  t.throws(() => tight.write(900, [Buffer.alloc(1)]), { code: 'unsupported' }, 'no room in the account');
  t.equal(poor.bytes, 956, 'what was refused is not counted');
  t.equal(
    Buffer.concat(tight.write(0, [Buffer.alloc(100, 7)]) as Buffer[]).length,
    800,
    'what is in sequence needs none',
  );
  t.equal(poor.bytes, 0);
  t.end();
});

test('the window to the byte: for each piece, and for all that wait together; pieces are joined in order', (t) => {
  const refused = { code: 'unsupported', message: /too far ahead/ };
  const window = new ReorderWindow(0, 100, account());
  t.throws(() => window.write(50, [Buffer.alloc(51)]), refused, 'it ends beyond the window');
  t.same(window.write(50, [Buffer.alloc(50)]), [], 'it ends with the window');
  t.throws(() => window.write(1, [Buffer.alloc(51)]), refused, 'together they are more than the window');
  t.same(window.write(1, [Buffer.from('ab'), Buffer.alloc(46), Buffer.from('cd')]), [], 'together they are the window');
  const ready = Buffer.concat(window.write(0, [Buffer.from('x')]) as Buffer[]);
  t.equal(ready.length, 51);
  t.equal(ready.subarray(0, 3).toString(), 'xab');
  t.equal(ready.subarray(49).toString(), 'cd', 'slices of one piece stand behind each other');
  // What came out is no longer counted: as much may wait again.
  t.same(window.write(101, [Buffer.alloc(50)]), []);
  window.drop();
  t.same(window.write(51 + 1, [Buffer.alloc(99)]), [], 'nor is what was dropped');
  t.same(window.write(51 + 2, [Buffer.alloc(1)]), [], 'to the last byte of the window');
  t.throws(() => window.write(51 + 3, [Buffer.alloc(1)]), refused);
  t.end();
});

test('a write of nothing is done wherever it is, and nothing waits for it', (t) => {
  const kept = account();
  const window = new ReorderWindow(10, 100, kept);
  for (const offset of [0, 10, 11, 1000])
    for (const slices of [[], [Buffer.alloc(0)]]) t.same(window.write(offset, slices), []);
  t.same([window.position, window.hasGap, kept.bytes], [10, false, 0]);
  t.end();
});
