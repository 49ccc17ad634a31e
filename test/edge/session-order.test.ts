// The order of one session's requests, packet by packet: a CLOSE waits for the READs and WRITEs that were sent before it, and a handle that is closed is closed.
import { randomBytes, randomUUID } from 'node:crypto';
import { t as file, test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { createSftp } from '../../server/edge/sftp/session.ts';
import { SegmentSealer, sealedLength } from '../../server/extents/sealed-format.ts';
import { sftpPacket, u32 } from '../support/raw-client.ts';
import { edgeProcess, roomy, ScriptedWarden, testSession } from '../support/scripted-warden.ts';

const { node } = edgeProcess(file);
const u64 = (value: number): Buffer => Buffer.concat([u32(0), u32(value)]);

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
    send: (type: number, id: number, ...parts: readonly (Uint8Array | string)[]) => input.data(sftpPacket(type, u32(id), ...parts)),
    reply,
  };
}
const idOf = (packet: Buffer): number => packet.readUInt32BE(1);

test('a CLOSE behind READs whose key is late: they are answered with their bytes, then it is', async (t) => {
  const plain = randomBytes(1000);
  const [key, context] = [randomBytes(32), randomBytes(20)];
  const sealer = new SegmentSealer(key, context);
  const sealed = Buffer.concat([sealer.header, ...sealer.seal(plain, true)]);
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

test('a CLOSE behind WRITEs and an fsync in one stream: all of them are in the file', async (t) => {
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

test('a WRITE that cannot be read marks its handle, one for an unknown handle marks nobody', async (t) => {
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
