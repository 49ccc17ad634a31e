// The order of one session's requests, packet by packet: requests on one handle are carried out as they were sent,
// whatever else the session waits for; a CLOSE waits for the READs that were sent before it; a closed handle is closed.
import { randomBytes, randomUUID } from 'node:crypto';
import { t as file, test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { createSftp } from '../../server/edge/sftp/session.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { edgeProcess, roomy, ScriptedWarden, testSession } from '../support/scripted-warden.ts';
import { sealedExtent } from '../support/sealed-extent.ts';

const { node } = await edgeProcess(file);

/** A session whose replies are kept, without a connection. */
function session(t: { teardown(work: () => Promise<void>): void }, warden: ScriptedWarden) {
  const sftp = createSftp(node);
  const replies: Buffer[] = [];
  const waiting: (() => void)[] = [];
  const output = {
    send: (chunks: readonly Buffer[]) => {
      replies.push(Buffer.concat(chunks));
      for (const came of waiting.splice(0)) came();
    },
    buffers: roomy,
    onDrain: undefined,
    hold: () => {},
    tell: () => {},
    consumed: () => {},
    end: () => {},
    fail: (reason: string) => t.teardown(() => Promise.reject(new Error(reason))),
  };
  const input = sftp.start(testSession, output, warden);
  t.teardown(async () => {
    await input.closed('client-closed');
    await sftp.stop();
  });
  const reply = async (nth: number): Promise<Buffer> => {
    while (replies.length <= nth) await new Promise<void>((resolve) => waiting.push(resolve));
    return (replies[nth] ?? Buffer.alloc(0)).subarray(4);
  };
  input.data(sftpPacket(fx.init, u32(3)));
  return {
    send: (type: number, id: number, ...parts: readonly (Uint8Array | string)[]) =>
      input.data(sftpPacket(type, u32(id), ...parts)),
    reply,
  };
}
const idOf = (packet: Buffer): number => packet.readUInt32BE(1);

test('a CLOSE after READs whose key is late: they are answered with their bytes, then the file is closed', async (t) => {
  const plain = randomBytes(1000);
  const [key, context] = [randomBytes(32), randomBytes(20)];
  const sealed = sealedExtent(key, context, plain);
  const warden = new ScriptedWarden();
  warden.answer('download.open', () => ({ download: randomUUID(), customer: randomUUID(), size: 1000, modifiedAt: 0 }));
  warden.answer('download.locate', () => ({ extents: [{ index: 0, offset: 0, bytes: 1000 }] }));
  const base64 = (bytes: Buffer): string => bytes.toString('base64');
  const granted = { index: 0, objectId: 'a'.repeat(32), key: base64(key), context: base64(context), bytes: 1000 };
  warden.answer('download.grant', () => ({ ...granted, sealedBytes: sealedLength(1000), inline: base64(sealed) }));
  const order: string[] = [];
  warden.answer('download.close', () => {
    order.push('closed');
    return {};
  });
  warden.faults.set('download.grant', async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    order.push('key');
  });
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/collect/f', u32(1), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  send(fx.read, 2, handle, u64(0), u32(600));
  send(fx.read, 3, handle, u64(600), u32(600));
  send(fx.close, 4, handle);
  const answers = await Promise.all([2, 3, 4].map(reply));
  t.same(
    answers.map((one) => [one[0], idOf(one)]),
    [
      [fx.data, 2],
      [fx.data, 3],
      [fx.status, 4],
    ],
  );
  t.ok(Buffer.concat(answers.slice(0, 2).map((one) => one.subarray(9))).equals(plain), 'with all their bytes');
  t.same(order, ['key', 'closed'], 'the warden hears of the end when everything was sent');
  send(fx.read, 6, handle, u64(0), u32(10));
  t.match((await reply(5)).toString('latin1'), /not open/, 'its handle is good for nothing then');
});

test('a CLOSE after WRITEs and an fsync in one stream: all of them are in the file', async (t) => {
  const whole = randomBytes(250_000);
  const warden = new ScriptedWarden();
  warden.faults.set('upload.seal-extent', () => new Promise((resolve) => setTimeout(resolve, 100)));
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/deposit/f', u32(0x1a), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  send(fx.write, 2, handle, u64(0), u32(100_000), whole.subarray(0, 100_000));
  send(fx.extended, 3, 'fsync@openssh.com', handle);
  send(fx.write, 4, handle, u64(100_000), u32(150_000), whole.subarray(100_000));
  send(fx.close, 5, handle);
  const last = await Promise.all([2, 3, 4, 5].map(reply));
  t.same(
    last.map((one) => one.readUInt32BE(5)),
    [0, 0, 0, 0],
  );
  t.ok(warden.isFile(whole));
});

test('a WRITE that cannot be parsed marks its handle, and one for an unknown handle marks none', async (t) => {
  const warden = new ScriptedWarden();
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/deposit/f', u32(0x1a), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  send(fx.write, 2, Buffer.concat([u32(8), randomBytes(8)]), u64(0), u32(10), Buffer.alloc(10));
  t.match((await reply(2)).toString('latin1'), /not open/);
  send(fx.write, 3, handle, u64(0), u32(10), Buffer.alloc(10));
  send(fx.close, 4, handle);
  t.same([(await reply(3)).readUInt32BE(5), (await reply(4)).readUInt32BE(5)], [0, 0], 'the allow twin');
  t.ok(warden.isFile(Buffer.alloc(10)));
  send(fx.open, 5, '/deposit/g', u32(0x1a), u32(0));
  const torn = Buffer.from((await reply(5)).subarray(5));
  warden.closed = undefined;
  send(fx.write, 6, torn, u64(0), u32(100), Buffer.alloc(10));
  send(fx.close, 7, torn);
  t.match((await reply(7)).toString('latin1'), /packet is too short; the file stays incomplete/);
  t.equal(warden.closed, undefined);
});

/** Something slow in the same session, for which everything after it waits; `done` ends it. */
function slowly(warden: ScriptedWarden): {
  readonly send: (send: ReturnType<typeof session>['send']) => void;
  readonly done: () => void;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  warden.answer('tree.stat', () => ({ kind: 'file', size: 1, modifiedAt: 1, permissions: 0o640 }));
  warden.faults.set('tree.stat', () => promise);
  return { send: (send) => send(fx.stat, 900, '/slow'), done: resolve };
}
const statuses = (packets: readonly Buffer[]): Record<number, number> =>
  Object.fromEntries(packets.filter((one) => one[0] === fx.status).map((one) => [idOf(one), one.readUInt32BE(5)]));

test('a size, WRITEs and a CLOSE after something slow, in one stream: carried out as they were sent', async (t) => {
  const stored = randomBytes(60_000);
  const whole = randomBytes(250_000);
  const warden = new ScriptedWarden();
  warden.stored = { kind: 'partial', bytes: stored };
  const slow = slowly(warden);
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/deposit/f', u32(0x0a), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  slow.send(send);
  send(fx.fsetstat, 2, handle, u32(1), u64(0));
  for (let at = 0; at < whole.length; at += 32_768) {
    const piece = whole.subarray(at, at + 32_768);
    send(fx.write, 100 + at / 32_768, handle, u64(at), u32(piece.length), piece);
  }
  send(fx.fstat, 4, handle);
  send(fx.close, 5, handle);
  send(fx.write, 6, handle, u64(whole.length), u32(1), Buffer.of(1));
  send(fx.fstat, 7, handle);
  await new Promise((resolve) => setTimeout(resolve, 20));
  slow.done();
  const answers = await Promise.all(Array.from({ length: 14 }, (_, at) => reply(2 + at)));
  const said = statuses(answers);
  t.same([said[2], said[5]], [0, 0], 'cut to nothing, written, closed');
  t.ok(warden.isFile(whole), 'and it is what was written behind the cut');
  t.equal(answers.find((one) => idOf(one) === 4)?.readUInt32BE(13), whole.length, 'FSTAT sees the WRITEs before it');
  t.same([said[6], said[7]], [4, 4], 'what came behind the CLOSE finds no open handle');
});

test('an fsync that has not begun covers what was sent before it, and not what comes after it', async (t) => {
  const warden = new ScriptedWarden();
  const slow = slowly(warden);
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/deposit/f', u32(0x1a), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  slow.send(send);
  send(fx.write, 2, handle, u64(0), u32(1000), randomBytes(1000));
  send(fx.extended, 3, 'fsync@openssh.com', handle);
  send(fx.write, 4, handle, u64(1000), u32(500), randomBytes(500));
  t.equal(idOf(await reply(2)), 2, 'a WRITE that nothing on its handle stands before is taken at once');
  slow.done();
  await Promise.all([3, 4, 5].map(reply));
  t.same(warden.sealedBytes, [1000]);
  send(fx.extended, 5, 'fsync@openssh.com', handle);
  send(fx.write, 6, handle, u64(1500), u32(10), randomBytes(10));
  await Promise.all([6, 7].map(reply));
  t.same(warden.sealedBytes, [1000, 500], 'nor does one that begins at once');
  send(fx.close, 7, handle);
  t.equal((await reply(8)).readUInt32BE(5), 0);
  t.equal(warden.closed?.size, 1510);
});

test('a READ after a CLOSE that waits finds no open handle', async (t) => {
  const warden = new ScriptedWarden();
  warden.answer('download.open', () => ({ download: randomUUID(), customer: randomUUID(), size: 1000, modifiedAt: 0 }));
  warden.answer('download.close', () => ({}));
  const slow = slowly(warden);
  const { send, reply } = session(t, warden);
  send(fx.open, 1, '/collect/f', u32(1), u32(0));
  const handle = Buffer.from((await reply(1)).subarray(5));
  slow.send(send);
  send(fx.close, 2, handle);
  send(fx.read, 3, handle, u64(0), u32(10));
  t.match((await reply(2)).toString('latin1'), /not open/);
  t.notOk(warden.asked.includes('download.locate'), 'nothing is asked for it');
  slow.done();
  const [first, second] = await Promise.all([3, 4].map(reply));
  t.same(
    [first, second].map((one) => one?.[0]),
    [fx.attrs, fx.status],
  );
  t.equal(second?.readUInt32BE(5), 0);
});
