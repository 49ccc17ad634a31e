// The store thread seals and opens where the bytes lie: what it writes, what it hands out, what it gives back, and that
// nothing which is still needed is changed.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import type { ObjectId } from '../../server/domain/ids.ts';
import { StoreThread } from '../../server/edge/sftp/store-thread.ts';
import type { SealedResult, Source } from '../../server/edge/sftp/store-worker.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { inPlace } from '../../server/extents/in-place.ts';
import { sealedDigest } from '../../server/extents/object-tickets.ts';
import {
  firstPlainBytes,
  headerBytes,
  laterPlainBytes,
  SegmentOpener,
  sealedLength,
  sealedSegment,
  segmentBytes,
  segmentCount,
  segmentPlainBytes,
} from '../../server/extents/sealed-format.ts';
import type { Logger } from '../../server/observability/logger.ts';
import { newObject } from '../extents/conformance.ts';
import { sealedExtent } from '../support/sealed-extent.ts';
import { startTestStore, testTicket } from '../support/store.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

type Lines = { readonly level: 'info' | 'warn' | 'error' | 'fatal'; readonly text: unknown }[];

async function threadOf(
  t: Test,
): Promise<{ readonly store: StoreThread; readonly lines: Lines; readonly objects: string }> {
  const lines: Lines = [];
  const say = (level: Lines[number]['level']) => (text: unknown) => void lines.push({ level, text });
  const log = { info: say('info'), warn: say('warn'), error: say('error'), fatal: say('fatal') };
  const env = { COFFERDAM_VAR: temporaryDirectory(t) };
  const config = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' });
  await startTestStore(t, config);
  const { objects, storeSocket } = runtimePaths(config);
  const store = new StoreThread(storeSocket('partner-1'), log as unknown as Logger);
  t.teardown(() => store.stop());
  return { store, lines, objects };
}

const [key, context] = [randomBytes(32), randomBytes(20)];

/** Seals one extent in buffers of this size for its bytes. Returns the last answer, the hash, and the buffers. */
async function upload(
  store: StoreThread,
  plain: Buffer,
  object: ObjectId,
  size: (bytes: number) => number,
  mayBeInline = false,
): Promise<{ readonly sealed: SealedResult | undefined; readonly digest: string; readonly returned: Buffer[] }> {
  const id = randomUUID();
  await store.ask({ op: 'upload.begin', upload: id, lastObject: undefined, storedBytes: 0 });
  await store.ask({ op: 'upload.extent', upload: id, key, context, ticket: testTicket(object) });
  let sealed: SealedResult | undefined;
  const returned: Buffer[] = [];
  for (let at = 0, index = 0; at < plain.length; index += 1) {
    const count = segmentPlainBytes(index, plain.length);
    const memory = store.takeBuffer(size(count));
    plain.copy(memory, 0, at, at + count);
    at += count;
    const bytes = memory.subarray(0, count);
    const isLast = at === plain.length;
    sealed = await store.ask({ op: 'upload.segment', upload: id, bytes, isLast, mayBeInline }, [
      bytes.buffer as ArrayBuffer,
    ]);
    if (bytes.length !== 0) throw new Error('the buffer was not given away');
    returned.push(store.takeBuffer(size(count)));
  }
  const digest = await store.ask<string>({ op: 'upload.digest', upload: id });
  await store.ask({ op: 'upload.end', upload: id, stored: undefined });
  return { sealed, digest, returned };
}

function opened(sealed: Buffer, plainBytes: number): Buffer {
  const opener = new SegmentOpener(key, context, sealed.subarray(0, headerBytes), plainBytes);
  const open = (index: number): Buffer => {
    const { offset, length } = sealedSegment(index, plainBytes);
    return opener.open(index, Buffer.from(sealed.subarray(offset, offset + length)));
  };
  return Buffer.concat(Array.from({ length: segmentCount(plainBytes) }, (_, index) => open(index)));
}

test('segments are sealed in the buffers in which they came, also when these have no room for a tag', async (t) => {
  const { store, lines, objects } = await threadOf(t);
  const exact = (bytes: number): number => bytes;
  const whole = (): number => segmentBytes;
  const rows: [number, (bytes: number) => number][] = [
    [1, () => 4096],
    [4079, () => 4096],
    [4080, () => 4096],
    [4081, () => 4096],
    [4096, exact],
    [131_072, exact],
    [firstPlainBytes, whole],
    [firstPlainBytes, exact],
    [firstPlainBytes + 1, whole],
    [firstPlainBytes + laterPlainBytes, whole],
    [firstPlainBytes + laterPlainBytes + 5000, exact],
  ];
  for (const [length, size] of rows) {
    const plain = randomBytes(length);
    const object = newObject();
    const { sealed, digest, returned } = await upload(store, plain, object, size);
    t.equal(sealed?.sealedBytes, sealedLength(length));
    t.equal(digest, createHash('sha256').update(plain).digest('hex'), `${length}: the hash is that of the plaintext`);
    const written = readFileSync(objectPath(objects, object));
    t.ok(sealedDigest(written).equals(sealed?.durable?.digest ?? Buffer.alloc(0)), 'the store names what it wrote');
    t.equal(written.length, sealedLength(length));
    t.ok(opened(written, length).equals(plain), `${length}: what was written opens`);
    if (size === whole || length + 16 <= 4096)
      t.ok(
        returned.every((memory) => memory.length < 64 || !plain.includes(memory.subarray(0, 64))),
        `${length}: the buffers come back without the plaintext`,
      );
  }
  t.same(lines, [{ level: 'info', text: inPlace().text }], 'and the thread said by what it seals');
});

test('a short extent is answered with its ciphertext, which the next segment does not change', async (t) => {
  const { store } = await threadOf(t);
  for (const length of [1, 4000, 4096, 65_536]) {
    const plain = randomBytes(length);
    const { sealed } = await upload(store, plain, newObject(), (bytes) => Math.max(4096, bytes), true);
    await upload(store, randomBytes(65_536), newObject(), (bytes) => bytes, true);
    t.ok(opened(Buffer.from(sealed?.inline ?? ''), length).equals(plain), `${length} bytes`);
  }
});

function sourcesOf(t: Test, plain: Buffer, change: (sealed: Buffer) => Buffer = (sealed) => sealed): readonly Source[] {
  const sealed = change(sealedExtent(key, context, plain));
  const path = join(temporaryDirectory(t), 'object');
  writeFileSync(path, sealed);
  const source = { key, context, plainBytes: plain.length };
  return [
    { ...source, path },
    { ...source, path: '/nowhere', inline: sealed },
  ];
}

test('a segment can be asked for again, and what was handed out does not change', async (t) => {
  const { store } = await threadOf(t);
  const plain = randomBytes(firstPlainBytes + laterPlainBytes + 1000);
  for (const source of sourcesOf(t, plain)) {
    const reader = randomUUID();
    await store.ask({ op: 'reader.open', reader, source });
    const read = (index: number): Promise<Uint8Array> => store.ask({ op: 'reader.segment', reader, index });
    const asked = [0, 1, 2, 2, 1, 0, 0];
    const answers: Uint8Array[] = [];
    for (const index of asked) answers.push(await read(index));
    const upload = randomUUID();
    await store.ask({ op: 'upload.begin', upload, lastObject: undefined, storedBytes: 0 });
    await store.ask({ op: 'upload.verify', upload, source });
    t.equal(
      await store.ask({ op: 'upload.digest', upload }),
      createHash('sha256').update(plain).digest('hex'),
      'read back for its hash',
    );
    const starts = [0, firstPlainBytes, firstPlainBytes + laterPlainBytes];
    for (const [at, index] of asked.entries()) {
      const start = starts[index] ?? 0;
      t.ok(
        plain.subarray(start, starts[index + 1] ?? plain.length).equals(answers[at] ?? Buffer.alloc(0)),
        `segment ${index}`,
      );
    }
    t.equal(new Set(answers.map((one) => one.buffer)).size, asked.length, 'each in memory of its own');
    await store.ask({ op: 'reader.close', reader });
  }
});

test('a segment that does not verify is not handed out, and its neighbours are', async (t) => {
  const { store } = await threadOf(t);
  const plain = randomBytes(firstPlainBytes + 1000);
  const flip = (at: number) => (sealed: Buffer) => {
    sealed[at] = (sealed[at] ?? 0) ^ 1;
    return sealed;
  };
  const cut = (sealed: Buffer): Buffer => sealed.subarray(0, sealed.length - 1);
  for (const [change, wrong] of [
    [flip(headerBytes), 0],
    [flip(segmentBytes - 1), 0],
    [flip(segmentBytes), 1],
    [cut, 1],
  ] as const)
    for (const source of sourcesOf(t, plain, change)) {
      const reader = randomUUID();
      await store.ask({ op: 'reader.open', reader, source });
      const read = (index: number): Promise<Uint8Array> => store.ask({ op: 'reader.segment', reader, index });
      for (let round = 0; round < 2; round += 1) {
        await t.rejects(read(wrong), { code: 'corrupt', message: 'stored data does not verify' });
        const right = wrong === 0 ? plain.subarray(firstPlainBytes) : plain.subarray(0, firstPlainBytes);
        t.ok(right.equals(await read(1 - wrong)), 'the other one');
      }
      const upload = randomUUID();
      await store.ask({ op: 'upload.begin', upload, lastObject: undefined, storedBytes: 0 });
      await t.rejects(store.ask({ op: 'upload.verify', upload, source }), { code: 'corrupt' });
    }
});
