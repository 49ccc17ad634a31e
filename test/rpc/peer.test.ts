import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { z } from 'zod';
import { CofferdamError } from '../../server/domain/errors.ts';
import { encodeFrame, FrameReader, frameBytesMax } from '../../server/rpc/framing.ts';
import { operation } from '../../server/rpc/operation.ts';
import { Peer, peerLimits } from '../../server/rpc/peer.ts';

const table = {
  echo: operation({ changes: false, params: z.strictObject({ text: z.string().max(100) }), result: z.strictObject({ text: z.string() }) }),
  slow: operation({ changes: false, params: z.strictObject({}), result: z.strictObject({}) }),
  refuse: operation({ changes: false, params: z.strictObject({}), result: z.strictObject({}) }),
  broken: operation({ changes: false, params: z.strictObject({}), result: z.strictObject({}) }),
  long: operation({ changes: false, params: z.strictObject({}), result: z.strictObject({ text: z.string() }) }),
} as const;
const none = {} as const;

type Setup = { readonly path: string; readonly closed: string[]; readonly bugs: string[] };

async function serve(t: { teardown(work: () => void | Promise<void>): void }): Promise<Setup> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-rpc-'));
  const closed: string[] = [];
  const bugs: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((stream) => {
    open.add(stream);
    new Peer({
      stream,
      serves: table,
      handlers: {
        echo: async ({ text }) => ({ text }),
        slow: () => new Promise<Record<string, never>>(() => {}),
        refuse: async () => {
          throw new CofferdamError('denied', 'no');
        },
        long: async () => ({ text: 'x'.repeat(frameBytesMax) }),
        broken: async () => {
          throw new TypeError('a secret path /var/x');
        },
      },
      calls: none,
      caller: undefined,
      limits: { ...peerLimits, inboundCallsMax: 8, writeBufferBytesMax: 1024 * 1024 },
      onClose: (reason) => closed.push(reason.message),
      onBug: (op) => bugs.push(op),
    });
  });
  const path = join(directory, 's');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { path, closed, bugs };
}

function client(path: string, t: { teardown(work: () => void): void }): Peer<typeof none, typeof table, undefined> {
  const peer = new Peer({
    stream: connect(path),
    serves: none,
    handlers: none,
    calls: table,
    caller: undefined,
    limits: { ...peerLimits, callTimeoutMs: 2000 },
    onClose: () => {},
    onBug: () => {},
  });
  t.teardown(() => peer.close());
  return peer;
}

test('calls, refusals and defects', async (t) => {
  const { path, bugs } = await serve(t);
  const peer = client(path, t);
  t.same(await peer.call('echo', { text: 'a' }), { text: 'a' });
  await t.rejects(peer.call('refuse', {}), { code: 'denied', message: 'no' });
  await t.rejects(peer.call('broken', {}), { code: 'bug', message: 'internal error' }, 'the text of an unknown error stays inside');
  t.same(bugs, ['broken']);
  await t.rejects(peer.call('echo', { text: 'x'.repeat(101) }), { code: 'invalid' }, 'the receiver validates');
  t.same(await peer.call('echo', { text: 'b' }), { text: 'b' }, 'and goes on');
  await t.rejects(peer.call('long', {}), { code: 'over-limit' }, 'an answer that no frame holds is a refusal');
  t.same(await peer.call('echo', { text: 'c' }), { text: 'c' }, 'not the end');
});

test('a peer that breaks the rules is cut off; another one is not disturbed', async (t) => {
  const { path, closed } = await serve(t);
  const good = client(path, t);
  const json = (value: unknown): Buffer => encodeFrame(value);
  const attacks: readonly (readonly [string, Buffer])[] = [
    ['a length beyond the bound', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a length of zero', Buffer.alloc(4)],
    ['no JSON', Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from('abc')])],
    ['bad UTF-8', Buffer.concat([Buffer.from([0, 0, 0, 4]), Buffer.from([0x22, 0xff, 0xfe, 0x22])])],
    ['JSON of another form', json({ hello: 1 })],
    ['an operation that is not in the table', json({ id: 1, op: 'toString', params: {} })],
    ['a prototype name', json({ id: 1, op: '__proto__', params: {} })],
    ['extra keys', json({ id: 1, op: 'echo', params: {}, admin: true })],
  ];
  for (const [name, bytes] of attacks) {
    const before = closed.length;
    const socket = connect(path);
    socket.on('error', () => {});
    socket.write(bytes);
    await once(socket, 'close');
    t.equal(closed.length, before + 1, name);
    t.same(await good.call('echo', { text: name.slice(0, 50) }), { text: name.slice(0, 50) }, 'the other peer goes on');
  }
});

test('a flood of calls is held back, a peer that does not read is cut off', async (t) => {
  const { path, closed } = await serve(t);
  const good = client(path, t);
  const flood = connect(path);
  flood.on('error', () => {});
  const frame = encodeFrame({ id: 1, op: 'slow', params: {} });
  for (let i = 0; i < 20_000; i += 1) flood.write(frame);
  t.same(await good.call('echo', { text: 'meanwhile' }), { text: 'meanwhile' });
  t.ok(flood.writableLength > 0, 'the flood waits on its own side');
  flood.destroy();

  const deaf = connect(path);
  deaf.on('error', () => {});
  deaf.pause();
  const question = encodeFrame({ id: 1, op: 'echo', params: { text: 'x'.repeat(100) } });
  const closing = new Promise<void>((resolve) => deaf.once('close', () => resolve()));
  const before = closed.length;
  const timer = setInterval(() => {
    for (let i = 0; i < 2000 && deaf.writable && deaf.writableLength < 1_000_000; i += 1) deaf.write(question);
  }, 5);
  await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 15_000))]);
  clearInterval(timer);
  t.ok(closed.length > before || deaf.writableLength >= 900_000, 'cut off, or stopped being read');
  t.same(await good.call('echo', { text: 'after' }), { text: 'after' });
  deaf.destroy();
});

test('frames come out whole, byte by byte too; too large ones are not sent', async (t) => {
  const messages = [{ a: 1 }, { b: 'ö'.repeat(1000) }, [1, 2, 3]];
  const stream = Buffer.concat(messages.map(encodeFrame));
  for (const step of [1, 3, 7, 1000, stream.length]) {
    const reader = new FrameReader();
    const got: unknown[] = [];
    for (let at = 0; at < stream.length; at += step) got.push(...reader.push(stream.subarray(at, at + step)));
    t.same(got, messages, `steps of ${step}`);
  }
  t.throws(() => encodeFrame('x'.repeat(frameBytesMax)), { code: 'invalid' });
});

test('after the stream is gone every call is refused', async (t) => {
  const { path } = await serve(t);
  const peer = client(path, t);
  const waiting = peer.call('slow', {});
  peer.close();
  await t.rejects(waiting, { code: 'unavailable' });
  await t.rejects(peer.call('echo', { text: 'a' }), { code: 'unavailable' });
});
