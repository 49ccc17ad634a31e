// The sealed format of an extent: every size, every segment, and whatever was not sealed in this way.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { test } from 'tap';
import {
  extentPlainBytesMax,
  firstPlainBytes,
  headerBytes,
  laterPlainBytes,
  SegmentOpener,
  SegmentSealer,
  sealedLength,
  sealedSegment,
  segmentAt,
  segmentBytes,
  segmentCount,
  segmentPlainBytes,
} from '../../server/extents/sealed-format.ts';
import { sealedExtent } from '../support/sealed-extent.ts';

const key = Buffer.alloc(32, 1);
const context = Buffer.from('context');

const seal = (plain: Buffer, random?: (bytes: number) => Buffer): Buffer => sealedExtent(key, context, plain, random);

function open(sealed: Buffer, plainBytes: number, withKey = key, withContext = context): Buffer {
  const opener = new SegmentOpener(withKey, withContext, sealed.subarray(0, headerBytes), plainBytes);
  return Buffer.concat(
    Array.from({ length: segmentCount(plainBytes) }, (_, i) => {
      const { offset, length } = sealedSegment(i, plainBytes);
      return opener.open(i, Buffer.from(sealed.subarray(offset, offset + length)));
    }),
  );
}

/** The published format, written down once more, directly from its description. */
function reference(plain: Buffer, salt: Buffer, prefix: Buffer): Buffer {
  const derived = Buffer.from(hkdfSync('sha256', key, salt, context, 32));
  const out = [Buffer.from([40]), salt, prefix];
  let segment = 0;
  let at = 0;
  do {
    const room = 262_144 - 16 - (segment === 0 ? 40 : 0);
    const piece = plain.subarray(at, at + room);
    at += piece.length;
    const nonce = Buffer.concat([prefix, Buffer.alloc(5)]);
    nonce.writeUInt32BE(segment, 7);
    nonce[11] = at >= plain.length ? 1 : 0;
    const cipher = createCipheriv('aes-256-gcm', derived, nonce);
    out.push(cipher.update(piece), cipher.final(), cipher.getAuthTag());
    segment += 1;
  } while (at < plain.length);
  return Buffer.concat(out);
}

const sizes = [
  1,
  2,
  65_535,
  65_536,
  65_537,
  firstPlainBytes - 1,
  firstPlainBytes,
  firstPlainBytes + 1,
  firstPlainBytes + laterPlainBytes,
  firstPlainBytes + laterPlainBytes + 1,
  3_000_000,
];

test('every size round-trips, has the expected length, and equals the reference', async (t) => {
  for (const size of sizes) {
    const plain = randomBytes(size);
    const sealed = seal(plain);
    t.equal(sealed.length, sealedLength(size), `${size}: length`);
    t.ok(open(sealed, size).equals(plain), `${size}: opens`);
    let call = 0;
    const fixed = (bytes: number): Buffer => {
      call += 1;
      return Buffer.alloc(bytes, call);
    };
    t.ok(
      seal(plain, fixed).equals(reference(plain, Buffer.alloc(32, 1), Buffer.alloc(7, 2))),
      `${size}: equals the reference`,
    );
  }
  t.equal(sealedLength(extentPlainBytesMax), 16 * 1024 * 1024, 'the largest extent is 16 MiB of ciphertext');
  t.equal(segmentCount(extentPlainBytesMax), 64);
});

test('a byte is found in its segment by its offset', async (t) => {
  for (const offset of [
    0,
    firstPlainBytes - 1,
    firstPlainBytes,
    firstPlainBytes + laterPlainBytes - 1,
    firstPlainBytes + laterPlainBytes,
    extentPlainBytesMax - 1,
  ]) {
    const { index, plainStart } = segmentAt(offset);
    t.ok(
      offset >= plainStart && offset < plainStart + (index === 0 ? firstPlainBytes : laterPlainBytes),
      `${offset} in ${index}`,
    );
  }
});

test('whatever was not sealed in this way does not open', async (t) => {
  const size = 600_000;
  const plain = randomBytes(size);
  const sealed = seal(plain);
  const refuses = (name: string, work: () => unknown): void => void t.throws(work, { code: 'corrupt' }, name);
  for (const at of [0, 5, 39, 40, 1000, segmentBytes, sealed.length - 1]) {
    const flipped = Buffer.from(sealed);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    refuses(`a flipped bit at ${at}`, () => open(flipped, size));
  }
  const swapped = Buffer.concat([
    sealed.subarray(0, segmentBytes),
    sealed.subarray(2 * segmentBytes),
    sealed.subarray(segmentBytes, 2 * segmentBytes),
  ]);
  refuses('segments in another order', () => open(swapped, size));
  refuses('the last segment cut away', () =>
    open(sealed.subarray(0, 2 * segmentBytes), firstPlainBytes + laterPlainBytes),
  );
  refuses('bytes cut away', () => open(sealed.subarray(0, sealed.length - 1), size));
  const other = seal(randomBytes(size));
  refuses('a segment of another extent', () =>
    open(Buffer.concat([sealed.subarray(0, segmentBytes), other.subarray(segmentBytes)]), size),
  );
  refuses('another context', () => open(sealed, size, key, Buffer.from('other')));
  refuses('another key', () => open(sealed, size, Buffer.alloc(32, 2)));
  t.ok(open(sealed, size).equals(plain), 'and as it was, it opens');
  t.throws(() => new SegmentSealer(Buffer.alloc(31), context), RangeError);
  const sealer = new SegmentSealer(key, context);
  t.throws(() => sealer.seal(Buffer.alloc(26), 10, false), RangeError, 'a short segment that is not the last');
});

test('each segment has its offset and length', (t) => {
  const first = 262_144 - 40 - 16;
  const later = 262_144 - 16;
  t.same([firstPlainBytes, laterPlainBytes, headerBytes, segmentBytes], [first, later, 40, 262_144]);
  t.same([1, first, first + 1, first + later, first + later + 1].map(segmentCount), [1, 1, 2, 2, 3]);
  t.same(segmentAt(0), { index: 0, plainStart: 0 });
  t.same(segmentAt(first - 1), { index: 0, plainStart: 0 });
  t.same(segmentAt(first), { index: 1, plainStart: first });
  t.same(segmentAt(first + later - 1), { index: 1, plainStart: first });
  t.same(segmentAt(first + later), { index: 2, plainStart: first + later });
  const three = first + later + 5;
  t.same(
    [0, 1, 2].map((index) => segmentPlainBytes(index, three)),
    [first, later, 5],
  );
  t.equal(segmentPlainBytes(0, 9), 9);
  t.equal(segmentPlainBytes(1, first + 3), 3);
  t.same(sealedSegment(0, three), { offset: 40, length: 262_144 - 40, isLast: false });
  t.same(sealedSegment(1, three), { offset: 262_144, length: 262_144, isLast: false });
  t.same(sealedSegment(2, three), { offset: 2 * 262_144, length: 5 + 16, isLast: true });
  t.same(sealedSegment(0, 9), { offset: 40, length: 25, isLast: true });
  for (const index of [-1, 3, 4]) t.throws(() => sealedSegment(index, three), RangeError, `segment ${index} of 3`);
  t.end();
});

test('a sealer accepts full segments, one last segment, and nothing after it', (t) => {
  const room = Buffer.alloc(segmentBytes);
  const sealer = new SegmentSealer(key, context);
  t.throws(() => sealer.seal(room, firstPlainBytes + 1, false), RangeError, 'a segment that is too long');
  t.throws(() => sealer.seal(room, firstPlainBytes + 1, true), RangeError, 'also when it is the last');
  t.throws(() => sealer.seal(room.subarray(0, firstPlainBytes + 15), firstPlainBytes, false), RangeError, 'no room');
  sealer.seal(room, firstPlainBytes, false);
  t.equal(sealer.plainCapacity, laterPlainBytes);
  t.throws(() => sealer.seal(room, firstPlainBytes, false), RangeError, 'later segments are longer');
  sealer.seal(room, 1, true);
  t.throws(() => sealer.seal(room, 1, true), RangeError, 'one more');
  t.throws(() => sealer.seal(room, laterPlainBytes, false), RangeError, 'one more of full length');
  t.end();
});

test('a header of another length is refused', (t) => {
  const { header } = new SegmentSealer(key, context);
  t.doesNotThrow(() => new SegmentOpener(key, context, header, 1));
  for (const wrong of [
    header.subarray(0, 39),
    Buffer.concat([header, Buffer.of(0)]),
    Buffer.concat([Buffer.of(41), header.subarray(1)]),
  ])
    t.throws(() => new SegmentOpener(key, context, wrong, 1), {
      code: 'corrupt',
      message: 'stored data does not verify',
    });
  t.end();
});
