import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'tap';
import { ReorderWindow } from '../../server/edge/sftp/reorder.ts';

test('any order within the window comes out in sequence', async (t) => {
  for (let round = 0; round < 300; round += 1) {
    const whole = randomBytes(randomInt(1, 5000));
    const pieces: { at: number; bytes: Buffer }[] = [];
    for (let at = 0; at < whole.length; ) {
      const count = Math.min(whole.length - at, randomInt(1, 400));
      pieces.push({ at, bytes: whole.subarray(at, at + count) });
      at += count;
    }
    // Neighbours change places, never further apart than the window.
    for (let i = 0; i + 1 < pieces.length; i += randomInt(2, 4)) [pieces[i], pieces[i + 1]] = [pieces[i + 1] as never, pieces[i] as never];
    const window = new ReorderWindow(0, 2000);
    const out = pieces.flatMap((piece) => window.write(piece.at, [piece.bytes]));
    if (!Buffer.concat(out).equals(whole) || window.hasGap) t.fail(`round ${round}`);
  }
  t.pass('300 rounds');
});

test('behind, too far ahead, twice: refused, and nothing is lost by it', async (t) => {
  const window = new ReorderWindow(100, 1000);
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
