// Sealing and opening in place, by the native code and by node:crypto: the same bytes as node:crypto makes for whole
// buffers, nothing beside them touched, and nothing readable that was not sealed so.
import { createCipheriv } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { test } from 'tap';
import { byNodeCrypto, choose, type InPlace, inPlace } from '../../server/extents/in-place.ts';
import {
  firstPlainBytes,
  headerBytes,
  laterPlainBytes,
  SegmentOpener,
  SegmentSealer,
  sealedSegment,
  segmentBytes,
} from '../../server/extents/sealed-format.ts';
import { Random } from '../fuzz/mutate.ts';
import { sealedExtent } from '../support/sealed-extent.ts';

const fallback: InPlace = { isNative: false, text: 'node:crypto', ...byNodeCrypto };
const both = [inPlace(), fallback];
const nameOf = (means: InPlace): string => (means.isNative ? 'native' : 'node:crypto');
const random = new Random(20_261_130);
const below = (limit: number): number => random.below(limit);
const bytes = (count: number): Buffer => Buffer.from(Uint8Array.from({ length: count }, () => below(256)));

function reference(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): { sealed: Buffer; tag: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { sealed, tag: cipher.getAuthTag() };
}

type Place = { readonly size: number; readonly offset: number; readonly length: number; readonly tag: number };

/** Seals and opens at one offset, and compares the whole buffer after each step. Returns what differs, or undefined. */
function differs(means: InPlace, { size, offset, length, tag }: Place): string | undefined {
  const [key, nonce, before] = [bytes(32), bytes(12), bytes(size)];
  const expected = Buffer.from(before);
  const { sealed, tag: expectedTag } = reference(key, nonce, before.subarray(offset, offset + length));
  expected.set(sealed, offset);
  expected.set(expectedTag, tag);
  const memory = Buffer.from(before);
  means.seal(key, nonce, memory, offset, length, tag);
  if (!memory.equals(expected)) return 'sealed';
  means.open(key, nonce, memory, offset, length, tag);
  before.set(expectedTag, tag);
  return memory.equals(before) ? undefined : 'opened';
}

test('the native code was built on this machine, and its text says so', async (t) => {
  t.ok(inPlace().isNative, inPlace().text);
  t.equal(inPlace(), inPlace(), 'it is loaded once');
});

test('every length around a border equals node:crypto, at the beginning, behind something, and before its tag', async (t) => {
  const lengths = [0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 65_535, 65_536, 65_537];
  for (const border of [firstPlainBytes, laterPlainBytes, segmentBytes]) lengths.push(border - 1, border, border + 1);
  for (const means of both)
    for (const length of lengths)
      for (const place of [
        { size: length + 16, offset: 0, length, tag: length },
        { size: length + 27, offset: 7, length, tag: 7 + length },
        { size: length + 64, offset: 40, length, tag: 1 },
      ])
        t.equal(differs(means, place), undefined, `${nameOf(means)}: ${JSON.stringify(place)}`);
});

test('random lengths and offsets give the same as node:crypto', async (t) => {
  for (const means of both)
    for (let round = 0; round < 400; round += 1) {
      const [gap, offset, length, rest] = [below(40), below(100), below(round % 20 === 0 ? 300_000 : 3000), below(40)];
      const isBehind = below(2) === 0;
      const place = isBehind
        ? { size: offset + length + gap + 16 + rest, offset, length, tag: offset + length + gap }
        : { size: offset + 16 + gap + length + rest, offset: offset + 16 + gap, length, tag: offset };
      const fault = differs(means, place);
      if (fault !== undefined) t.fail(`${nameOf(means)}: ${fault} ${JSON.stringify(place)}`);
    }
  t.pass('all rounds');
});

test('what was sealed otherwise does not open, and nothing of it can be read', async (t) => {
  const [key, nonce, plain] = [bytes(32), bytes(12), bytes(1000)];
  const { sealed, tag } = reference(key, nonce, plain);
  const [before, behind] = [bytes(9), bytes(9)];
  const flip = (from: Uint8Array, at: number): Buffer => {
    const flipped = Buffer.from(from);
    flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
    return flipped;
  };
  for (const means of both) {
    const open = (withKey: Buffer, withNonce: Buffer, segment: Buffer, withTag: Buffer): Buffer => {
      const memory = Buffer.concat([before, segment, withTag, behind]);
      const whole = [withKey, withNonce, memory, 9, segment.length, 9 + segment.length] as const;
      try {
        means.open(...whole);
      } catch (error) {
        const isCleared = memory.subarray(9, 9 + segment.length).every((byte) => byte === 0);
        const isElseAsBefore =
          memory.subarray(0, 9).equals(before) &&
          memory.subarray(9 + segment.length).equals(Buffer.concat([withTag, behind]));
        throw isCleared && isElseAsBefore ? error : new Error('the buffer is not as it should be');
      }
      return memory.subarray(9, 9 + segment.length);
    };
    const refuses = (name: string, ...whole: Parameters<typeof open>): void =>
      void t.throws(
        () => open(...whole),
        { code: 'corrupt', message: /tag does not verify/ },
        `${nameOf(means)}: ${name}`,
      );
    t.ok(open(key, nonce, sealed, tag).equals(plain), `${nameOf(means)}: as it was, it opens`);
    for (let bit = 0; bit < 128; bit += 1) refuses(`bit ${bit} of the tag`, key, nonce, sealed, flip(tag, bit));
    for (const bit of [0, 7, 63, 128, 4001, 7999]) refuses(`bit ${bit}`, key, nonce, flip(sealed, bit), tag);
    for (const bit of [0, 255]) refuses(`bit ${bit} of the key`, flip(key, bit), nonce, sealed, tag);
    for (const bit of [0, 95]) refuses(`bit ${bit} of the nonce`, key, flip(nonce, bit), sealed, tag);
    for (const count of [0, 1, 15, 16, 17, 999]) refuses(`${count} bytes`, key, nonce, sealed.subarray(0, count), tag);
    refuses('one byte more', key, nonce, Buffer.concat([sealed, Buffer.alloc(1)]), tag);
    t.ok(open(key, nonce, sealed, tag).equals(plain), `${nameOf(means)}: and it opens after all that`);
    const none = reference(key, nonce, Buffer.alloc(0)).tag;
    t.equal(open(key, nonce, Buffer.alloc(0), none).length, 0, `${nameOf(means)}: a segment of nothing opens`);
    refuses('nothing with another tag', key, nonce, Buffer.alloc(0), tag);
  }
});

test('a segment of another context, position or extent leaves zeros', async (t) => {
  const [key, context, plain] = [bytes(32), Buffer.from('context'), bytes(firstPlainBytes + 100)];
  for (const means of both) {
    const sealed = sealedExtent(key, context, plain, bytes, means);
    const segment = (index: number): Buffer => {
      const { offset, length } = sealedSegment(index, plain.length);
      return Buffer.from(sealed.subarray(offset, offset + length));
    };
    const openerOf = (withContext: Buffer, plainBytes: number): SegmentOpener =>
      new SegmentOpener(key, withContext, sealed.subarray(0, headerBytes), plainBytes, means);
    const refuses = (name: string, opener: SegmentOpener, index: number, memory: Buffer): void => {
      t.throws(() => opener.open(index, memory), { code: 'corrupt', message: 'stored data does not verify' }, name);
      t.ok(
        memory.subarray(0, -16).every((byte) => byte === 0),
        `${nameOf(means)}: ${name}: zeros`,
      );
    };
    refuses('another context', openerOf(Buffer.from('other'), plain.length), 0, segment(0));
    refuses('no longer the last', openerOf(context, firstPlainBytes + laterPlainBytes + 100), 2, segment(1));
    refuses('the last, but sealed as another', openerOf(context, firstPlainBytes), 0, segment(0));
    const opener = openerOf(context, plain.length);
    for (const index of [1, 0, 1]) {
      const start = index * firstPlainBytes;
      t.ok(
        opener.open(index, segment(index)).equals(plain.subarray(start, start + (index === 0 ? firstPlainBytes : 100))),
        `${nameOf(means)}: segment ${index} opens`,
      );
    }
  }
});

test('both ways make the same extents, and each opens what the other one sealed', async (t) => {
  const [key, context] = [bytes(32), bytes(20)];
  const lengths = [1, 15, 16, 17, firstPlainBytes - 1, firstPlainBytes, firstPlainBytes + 1];
  lengths.push(firstPlainBytes + laterPlainBytes - 1, firstPlainBytes + laterPlainBytes, 600_000);
  for (const length of lengths) {
    const plain = bytes(length);
    const salt = (count: number): Buffer => Buffer.alloc(count, length);
    const [one, other] = both.map((means) => sealedExtent(key, context, plain, salt, means));
    t.ok(one && other?.equals(one), `${length} bytes`);
    for (const means of both) {
      const memory = Buffer.from(one ?? '');
      const opener = new SegmentOpener(key, context, memory.subarray(0, headerBytes), length, means);
      const { offset, length: sealed } = sealedSegment(0, length);
      const first = opener.open(0, memory.subarray(offset, offset + sealed));
      t.ok(first.equals(plain.subarray(0, first.length)) && first.buffer === memory.buffer, `${nameOf(means)} opens`);
    }
  }
});

test('a number of a segment is used once, also when sealing failed', async (t) => {
  const used: string[] = [];
  const failing: InPlace = {
    ...fallback,
    seal: (...[, nonce]) => {
      used.push(Buffer.from(nonce).toString('hex'));
      throw new Error('failed');
    },
  };
  const sealer = new SegmentSealer(bytes(32), bytes(20), bytes, failing);
  const memory = Buffer.alloc(segmentBytes);
  t.throws(() => sealer.seal(memory, firstPlainBytes, false), { message: 'failed' });
  t.throws(() => sealer.seal(memory, 10, true), { message: 'failed' });
  t.throws(() => sealer.seal(memory, 10, true), RangeError, 'nothing follows the last');
  t.equal(new Set(used).size, 2, used.join(' '));
});

function detached(count: number): Uint8Array {
  const view = new Uint8Array(count);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

/** A view whose memory became shorter than it. */
function shrunk(count: number): Uint8Array {
  const memory = new ArrayBuffer(count, { maxByteLength: count });
  const view = new Uint8Array(memory, 0, count);
  memory.resize(1);
  return view;
}

const call = (work: unknown, list: readonly unknown[]): unknown => (work as (...list: unknown[]) => unknown)(...list);

test('wrong arguments of every kind are refused by their kind, and their twins are taken', async (t) => {
  const good = (): unknown[] => [bytes(32), bytes(12), bytes(132), 100, 16, 116];
  const noBytes = [undefined, null, true, 1, 1n, 'x'.repeat(32), Symbol('x'), {}, [], () => {}, new ArrayBuffer(32)];
  const noBuffers = [new DataView(new ArrayBuffer(132)), new Int8Array(132), new Uint8ClampedArray(132)];
  const proxied = new Proxy(new Uint8Array(132), {});
  const noNumbers: readonly unknown[] = [
    undefined,
    null,
    true,
    1n,
    '1',
    Symbol('x'),
    {},
    [],
    { valueOf: () => 1 },
    new Number(1),
  ];
  const rows: [string, number, readonly unknown[], unknown][] = [
    ...[0, 1, 2].map((at): [string, number, readonly unknown[], unknown] => [
      'no bytes',
      at,
      [...noBytes, ...noBuffers, proxied, new Uint16Array(66), new Float64Array(132)],
      TypeError,
    ]),
    ['no key', 0, [0, 1, 16, 31, 33].map((count) => new Uint8Array(count)), RangeError],
    ['no nonce', 1, [0, 11, 13, 16].map((count) => new Uint8Array(count)), RangeError],
    ['gone', 0, [detached(32), shrunk(32)], RangeError],
    ['gone', 1, [detached(12), shrunk(12)], RangeError],
    ['gone, or too small', 2, [detached(132), shrunk(132), new Uint8Array(131), new Uint8Array(0)], RangeError],
    ...[3, 4, 5].map((at): [string, number, readonly unknown[], unknown] => ['no number', at, noNumbers, TypeError]),
    ...[3, 4, 5].map((at): [string, number, readonly unknown[], unknown] => [
      'out of range',
      at,
      [-1, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53, 2 ** 64, 1e300, -(2 ** 31)],
      RangeError,
    ]),
    ['outside', 3, [117, 132, 133], RangeError],
    ['outside, or over its tag', 4, [17, 32, 33, 2 ** 30, 2 ** 30 + 1], RangeError],
    ['outside, or over the segment', 5, [117, 85, 100, 115, 133], RangeError],
  ];
  for (const means of both) {
    for (const work of ['seal', 'open'] as const) {
      for (const [name, at, values, kind] of rows)
        for (const value of values) {
          const list = good().with(at, value);
          const memory = list[2];
          const before = memory instanceof Uint8Array && memory !== proxied ? Buffer.from(memory) : undefined;
          const shown = typeof value === 'object' ? Object.prototype.toString.call(value) : String(value);
          t.throws(() => call(means[work], list), kind as never, `${nameOf(means)}: ${work}: ${name} ${at}: ${shown}`);
          if (before !== undefined) t.ok(before.equals(memory as Buffer), 'and the buffer is as it was');
        }
      for (let count = 0; count < 6; count += 1)
        t.throws(() => call(means[work], good().slice(0, count)), TypeError, `${count} arguments`);
    }
    const twin = good();
    t.equal(call(means.seal, twin), undefined, `${nameOf(means)}: the twin`);
    t.equal(call(means.open, [...twin, 'one more']), undefined);
    const shared = new Uint8Array(new SharedArrayBuffer(48));
    t.equal(call(means.seal, [bytes(32), bytes(12), shared, 0, 32, 32]), undefined, 'shared memory');
    const grown = new Uint8Array(new ArrayBuffer(48, { maxByteLength: 100 }));
    t.equal(call(means.seal, [bytes(32), bytes(12), grown, 0, 32, 32]), undefined, 'memory that may grow');
  }
});

test('random arguments: never a crash, and both ways take and refuse the same', async (t) => {
  const sizes = [0, 1, 12, 16, 31, 32, 33, 48, 64];
  const counts = [0, 0, 1, 8, 12, 15, 16, 17, 31, 32, 33, 48, 64, -1, 0.5, -0, Number.NaN, Infinity, 2 ** 31, 2 ** 53];
  const odd = [undefined, null, true, 'a', 1n, {}, [], Symbol('x'), new DataView(new ArrayBuffer(32))];
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const oneOf = (right: unknown, others: () => unknown): unknown => (below(10) < 8 ? right : others());
  const memory = (): unknown => (below(4) === 0 ? pick(odd) : below(8) === 0 ? detached(32) : bytes(pick(sizes)));
  const count = (): unknown => oneOf(pick(counts), () => pick(odd));
  const seen = new Map<string, number>();
  const outcome = (means: InPlace, work: 'seal' | 'open', list: readonly unknown[]): string => {
    // Copies of their own for each call, also of the buffer, which is compared afterwards.
    const own = list.map((one) => (Buffer.isBuffer(one) ? Buffer.from(one) : one));
    let told = 'taken';
    try {
      call(means[work], own);
    } catch (error) {
      told = error instanceof Error && 'code' in error ? String(error.code) : (error as Error).constructor.name;
    }
    const after = own[2];
    return `${told} ${Buffer.isBuffer(after) ? after.toString('hex') : ''}`;
  };
  for (let round = 0; round < 30_000; round += 1) {
    const list = [
      oneOf(bytes(32), memory),
      oneOf(bytes(12), memory),
      oneOf(bytes(64), memory),
      count(),
      count(),
      count(),
    ];
    const work = below(2) === 0 ? 'seal' : 'open';
    const [one = '', other] = both.map((means) => outcome(means, work, list));
    if (one !== other) t.fail(`round ${round}: ${work}: ${one}, ${other}`);
    const kind = `${work} ${one.split(' ')[0]}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  const kinds = [
    'open RangeError',
    'open TypeError',
    'open corrupt',
    'seal RangeError',
    'seal TypeError',
    'seal taken',
  ];
  t.same([...seen.keys()].sort(), kinds, JSON.stringify([...seen]));
});

const threadProgram = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { createCipheriv } = require('node:crypto');
  import(workerData.module).then(({ inPlace }) => {
    const means = inPlace();
    const memory = new Uint8Array(workerData.memory, workerData.at, 262144);
    let faults = means.isNative ? 0 : 1000000;
    for (let round = 0; round < workerData.rounds; round += 1) {
      const key = Buffer.alloc(32, round + workerData.at), nonce = Buffer.alloc(12, round);
      const length = 1 + (round * 7919) % 262128;
      const plain = Buffer.alloc(length, round + 1);
      memory.set(plain);
      means.seal(key, nonce, memory, 0, length, length);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      if (!sealed.equals(memory.subarray(0, length + 16))) faults += 1;
      means.open(key, nonce, memory, 0, length, length);
      if (!plain.equals(memory.subarray(0, length))) faults += 1;
      memory[length] ^= 1;
      try { means.open(key, nonce, memory, 0, length, length); faults += 1; } catch (error) { if (error.code !== 'corrupt') faults += 1; }
      if (memory.subarray(0, length).some((byte) => byte !== 0)) faults += 1;
    }
    parentPort.postMessage({ faults, rounds: workerData.rounds });
  });`;

const startThread = (memory: SharedArrayBuffer, at: number, rounds: number): Worker =>
  new Worker(threadProgram, {
    eval: true,
    workerData: { module: new URL('../../server/extents/in-place.ts', import.meta.url).href, memory, at, rounds },
  });

test('two threads at once, in neighbouring halves of one memory, and threads that end in the middle of their work', async (t) => {
  const memory = new SharedArrayBuffer(2 * 262_144);
  const work = (at: number): Promise<unknown> =>
    new Promise((resolve, reject) => startThread(memory, at, 300).once('message', resolve).once('error', reject));
  const done = { faults: 0, rounds: 300 };
  t.same(await Promise.all([work(0), work(262_144), Promise.resolve(done)]), [done, done, done]);
  for (let round = 0; round < 6; round += 1) {
    const cut = startThread(memory, 0, 1_000_000);
    await new Promise((resolve) => cut.once('online', resolve));
    await new Promise((resolve) => setTimeout(resolve, 60 * round));
    await cut.terminate();
  }
  t.equal(differs(inPlace(), { size: 1016, offset: 0, length: 1000, tag: 1000 }), undefined, 'and here it still works');
  t.same(await work(0), done, 'and in a new thread');
});

test('native code that is missing, or that does not calculate as it should, is not used', async (t) => {
  const native = inPlace();
  t.ok(choose(() => native).isNative, 'the twin');
  const wrong: [RegExp, () => unknown][] = [
    [
      /no such file$/,
      () => {
        throw new Error('no such file\nat a place');
      },
    ],
    [/./, () => undefined],
    [/./, () => ({})],
    [/seals otherwise/, () => ({ ...native, seal: () => {} })],
    [/opens otherwise/, () => ({ ...native, open: () => {} })],
    [
      /opens what was forged/,
      () => ({ ...native, open: (...whole: Parameters<InPlace['open']>) => void attempt(() => native.open(...whole)) }),
    ],
    [/refuses otherwise/, () => ({ ...native, open: once(native.open, new Error('no')) })],
    [
      /leaves what was forged/,
      () => ({ ...native, open: once(native.open, Object.assign(new Error(), { code: 'corrupt' })) }),
    ],
  ];
  for (const [text, load] of wrong) {
    const chosen = choose(load);
    t.notOk(chosen.isNative);
    t.match(chosen.text, /^segments are sealed by node:crypto, which costs more processor time: /);
    t.match(chosen.text, text);
    t.equal(differs(chosen, { size: 116, offset: 0, length: 100, tag: 100 }), undefined, 'and what is used works');
  }
});

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // What this piece of native code does not tell.
  }
}

/** Opens once, and then refuses everything in this way without touching it. */
function once(open: InPlace['open'], error: Error): InPlace['open'] {
  let isFirst = true;
  return (...whole) => {
    if (!isFirst) throw error;
    isFirst = false;
    open(...whole);
  };
}
