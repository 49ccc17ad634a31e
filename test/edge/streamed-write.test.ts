// WRITEs whose data goes into the file as it comes: however the stream is cut, the outcome is that of whole packets.
import { createHash, randomBytes } from 'node:crypto';
import { type Test, test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { writeHead } from '../../server/edge/sftp/streamed-write.ts';
import { sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { handleOf, honest as honestly, type Script, SessionBench, statusOf } from '../support/session-bench.ts';
import { storeDirectory, testTicket } from '../support/store.ts';
import { until } from '../support/until.ts';

const extent = (index: number): object => {
  const objectId = randomBytes(16).toString('hex');
  const [key, context] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map((one) => one.toString('base64'));
  return { index, objectId, key, context, ticket: testTicket(objectId).toString('base64') };
};
/** An honest warden, for files of any size. */
const honest: Script = (op, params) => {
  if (op === 'upload.open') return { ...(honestly(op, params) as object), firstExtent: extent(0) };
  return op === 'upload.begin-extent' ? extent(1) : honestly(op, params);
};

/** Numbers from 0 to below 1 that are the same in every run with this seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const sizes = [1, 100, 1000, 5000, 40_000, 65_536, 200_000, 261_120, 262_000];
const bytesAt = (offset: number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => ((offset + i) * 7 + ((offset + i) >> 8)) & 255));

/** The requests of one client on one handle, as whole packets, with CLOSE at the end. */
function requestsOf(seed: number, handle: Buffer): readonly Buffer[] {
  const next = numbers(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T;
  const isWild = next() < 0.5;
  const packets: Buffer[] = [];
  let position = 0;
  let id = 200;
  const put = (type: number, ...parts: readonly (Uint8Array | string)[]): void => {
    id += 1;
    packets.push(sftpPacket(type, u32(id), ...parts));
  };
  const data = (offset: number, length: number): Buffer =>
    Buffer.concat([u64(offset), u32(length), bytesAt(offset, length)]);
  const write = (offset: number, length: number): void =>
    put(fx.write, u32(handle.length), handle, data(offset, length));
  for (let i = 0; i < 12; i += 1) {
    const length = pick(sizes);
    const kind = isWild ? Math.floor(next() * 12) : Math.floor(next() * 6);
    if (kind === 3 && position > 0) {
      // Two in the wrong order.
      write(position + length, 1000);
      write(position, length);
      position += length + 1000;
    } else if (kind === 4) put(fx.write, u32(handle.length), handle, data(position, 0));
    else if (kind === 5 && position > 0) put(200, u32(17), 'fsync@openssh.com', u32(handle.length), handle);
    else if (kind === 6 && next() < 0.3) write(Math.max(0, position - 10), length);
    else if (kind === 7) put(fx.write, u32(8), Buffer.alloc(8, 9), data(position, length));
    else if (kind === 8 && next() < 0.3)
      put(fx.write, u32(handle.length), handle, u64(position), u32(length + 1), bytesAt(0, length));
    else if (kind === 9) {
      put(fx.write, u32(handle.length), handle, data(position, length), Buffer.alloc(10));
      position += length;
    } else if (kind === 10) put(99, Buffer.alloc(50));
    else if (kind === 11) put(fx.fstat, u32(handle.length), handle);
    else {
      write(position, length);
      position += length;
    }
  }
  put(fx.close, u32(handle.length), handle);
  return packets;
}

/** Cuts bytes at random places. Each piece is memory of its own, which is overwritten once it was taken. */
function* cut(bytes: Buffer, seed: number): Generator<Buffer> {
  const next = numbers(seed);
  const most = [3, 50, 2000, 32_768, 400_000][seed % 5] as number;
  let at = 0;
  while (at < bytes.length) {
    const isTiny = most > 3 || at < 200_000;
    const length = 1 + Math.floor(next() * (isTiny ? most : 32_768));
    yield Buffer.from(bytes.subarray(at, at + length));
    at += length;
  }
}

type Outcome = { readonly replies: ReadonlyMap<number, string>; readonly ends: readonly unknown[]; failed: unknown };

async function played(
  t: Test,
  directory: string,
  seed: number,
  pieces: (bytes: Buffer, all: readonly Buffer[]) => Iterable<Buffer>,
) {
  // Each has a connection to the store, and an edge may have few.
  const endings: (() => unknown)[] = [];
  const bench = new SessionBench({ teardown: (work) => void endings.push(work) }, {}, directory);
  const ends: unknown[] = [];
  bench.script = (op, params) => {
    if (op === 'upload.close' || op === 'upload.interrupt') {
      const { size, sha256, lastExtent } = params as Record<string, unknown>;
      ends.push({ op, size, sha256, bytes: (lastExtent as { bytes: number } | undefined)?.bytes });
    }
    return honest(op, params);
  };
  const handle = handleOf(await bench.ask(fx.open, 'f', u32(0x1a), u32(0))).subarray(4);
  const requests = requestsOf(seed, handle);
  const bytes = Buffer.concat(requests);
  const before = bench.consumedBytes;
  for (const piece of pieces(bytes, requests)) {
    bench.send(piece);
    piece.fill(0xee);
    // What is held back is let go of between the reads of a socket.
    if (seed % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const last = requests.at(-1)?.readUInt32BE(5) ?? 0;
  await bench.reply(last);
  await until('all bytes to be consumed', () => bench.consumedBytes - before === bytes.length);
  const replies = new Map<number, string>();
  for (const one of bench.replies()) {
    const id = one.readUInt32BE(1);
    t.notOk(replies.has(id) && id > 200, 'one answer for each request');
    // The time of a file that is being written is now.
    replies.set(id, one[0] === fx.attrs ? 'attributes' : one.toString('hex'));
  }
  replies.delete(101);
  for (const end of endings) await end();
  return { replies, ends, failed: bench.failed } satisfies Outcome;
}

test('for any requests and any cut: the same answers and the same file as with whole packets', async (t) => {
  let whole = 0;
  const directory = await storeDirectory(t);
  for (let seed = 1; seed <= 40; seed += 1) {
    const expected = await played(t, directory, seed, (_, all) => all.map((one) => Buffer.from(one)));
    const got = await played(t, directory, seed, (bytes) => cut(bytes, seed));
    t.same(got, expected, `seed ${seed}`);
    if (JSON.stringify(expected.ends).includes('upload.close')) whole += 1;
  }
  t.ok(whole >= 12, `${whole} files were whole`);
});

test('a WRITE in pieces of any size makes the file of its bytes', async (t) => {
  const directory = await storeDirectory(t);
  for (const piece of [1, 7, 32_768]) {
    const bench = new SessionBench(t, {}, directory);
    let sha256: unknown;
    bench.script = (op, params) => {
      if (op === 'upload.close') sha256 = params.sha256;
      return honest(op, params);
    };
    const handle = handleOf(await bench.ask(fx.open, 'f', u32(0x1a), u32(0))).subarray(4);
    const data = bytesAt(3, 120_000);
    const stream = Buffer.concat([
      sftpPacket(fx.write, u32(7), u32(8), handle, u64(0), u32(100_000), data.subarray(0, 100_000)),
      sftpPacket(fx.write, u32(8), u32(8), handle, u64(100_000), u32(20_000), data.subarray(100_000)),
    ]);
    for (let at = 0; at < stream.length; at += piece) {
      const chunk = Buffer.from(stream.subarray(at, at + piece));
      bench.send(chunk);
      chunk.fill(0);
      if (at === 50_000 - (50_000 % piece)) t.equal(bench.replies().length, 1, 'no answer before the last byte');
    }
    t.equal(statusOf(await bench.reply(7)), 0);
    t.equal(statusOf(await bench.reply(8)), 0);
    t.equal(statusOf(await bench.ask(fx.close, u32(8), handle)), 0);
    t.equal(sha256, createHash('sha256').update(data).digest('hex'));
  }
});

test('a stream that ends in the middle of a WRITE: nothing is said to be whole, and what came may stay', async (t) => {
  const bench = new SessionBench(t);
  let lastExtent: unknown;
  bench.script = (op, params) => {
    if (op === 'upload.interrupt') lastExtent = params.lastExtent;
    return honest(op, params);
  };
  const handle = handleOf(await bench.ask(fx.open, 'f', u32(0x1a), u32(0))).subarray(4);
  const packet = sftpPacket(fx.write, u32(7), u32(8), handle, u64(0), u32(50_000), bytesAt(0, 50_000));
  bench.send(packet.subarray(0, 20_000));
  bench.session.eof();
  await until('the end', () => bench.ended !== undefined);
  t.equal(await bench.reply(7, 50), undefined, 'it was not answered');
  t.notOk(bench.calls.includes('upload.close'));
  t.match(lastExtent, { bytes: 20_000 - 4 - 29 });
});

test('only a WRITE that says exactly how long it is begins early', (t) => {
  const handle = Buffer.alloc(8, 1);
  const body = Buffer.concat([Buffer.of(fx.write), u32(5), u32(8), handle, u64(70), u32(1000), Buffer.alloc(10)]);
  const length = 29 + 1000;
  t.same(writeHead(length, body), { id: 5, handle, offset: 70, dataBytes: 1000, headBytes: 29 });
  for (let bytes = 0; bytes < 29; bytes += 1) t.equal(writeHead(length, body.subarray(0, bytes)), undefined);
  t.ok(writeHead(length, body.subarray(0, 29)));
  for (const other of [length - 1, length + 1, 29]) t.equal(writeHead(other, body), undefined);
  const read = Buffer.from(body);
  read[0] = fx.read;
  t.equal(writeHead(length, read), undefined);
  for (const handleBytes of [65, 2 ** 31, 2 ** 32 - 1]) {
    const long = Buffer.from(body);
    long.writeUInt32BE(handleBytes, 5);
    t.equal(writeHead(length, long), undefined);
  }
  t.end();
});
