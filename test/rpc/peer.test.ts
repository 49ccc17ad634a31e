// Both ends of a connection: calls and answers, floods, malformed messages, and the door before every call.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { z } from 'zod';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type Door, ownDoor, takeFault } from '../../server/rpc/door.ts';
import { encodeFrame, FrameReader, frameBytesMax } from '../../server/rpc/framing.ts';
import { operation } from '../../server/rpc/operation.ts';
import { Peer, peerLimits } from '../../server/rpc/peer.ts';
import { Slots } from '../../server/rpc/slots.ts';
import { checkCall } from '../../server/rpc/wrong-form.ts';

const table = {
  echo: operation({
    changes: false,
    params: z.strictObject({ text: z.string().max(100) }),
    result: z.strictObject({ text: z.string() }),
  }),
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
      door: ownDoor(undefined),
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
    door: ownDoor(undefined),
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
  await t.rejects(
    peer.call('broken', {}),
    { code: 'bug', message: 'internal error' },
    'the text of an unknown error stays inside',
  );
  t.same(bugs, ['broken']);
  await t.rejects(
    peer.call('echo', { text: 'x'.repeat(101) }),
    { code: 'invalid' },
    'the receiver validates the parameters',
  );
  t.same(await peer.call('echo', { text: 'b' }), { text: 'b' }, 'and the connection goes on');
  await t.rejects(peer.call('long', {}), { code: 'over-limit' }, 'an answer that fits into no frame is a refusal');
  t.same(await peer.call('echo', { text: 'c' }), { text: 'c' }, 'and not the end of the connection');
});

test('a peer that breaks the rules is disconnected; other peers are not disturbed', async (t) => {
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

test('a flood of calls is held back, and a peer that does not read is disconnected or no longer read', async (t) => {
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
  t.ok(closed.length > before || deaf.writableLength >= 900_000, 'the peer is disconnected, or no longer read');
  t.same(await good.call('echo', { text: 'after' }), { text: 'after' });
  deaf.destroy();
});

/**
 * Starts a server with the door that is given. Returns its path, what it has read and served (`seen`), and why its
 * connections ended (`closed`).
 */
async function serveBehind(
  t: Parameters<typeof serve>[0],
  door: Door<undefined>,
): Promise<{ readonly path: string; readonly seen: string[]; readonly closed: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-rpc-'));
  const [seen, closed, open] = [[] as string[], [] as string[], new Set<Socket>()];
  const read = z.strictObject({ text: z.string().refine((text) => seen.push(`read ${text}`) > 0) });
  const looked = { look: operation({ changes: false, params: read, result: z.strictObject({}) }) } as const;
  const server = createServer((stream) => {
    open.add(stream);
    new Peer({
      stream,
      serves: looked,
      handlers: {
        look: async ({ text }) => {
          seen.push(`served ${text}`);
          return {};
        },
      },
      calls: none,
      door,
      onClose: (reason) => closed.push(reason.message),
      onBug: () => {},
    });
  });
  const path = join(directory, 's');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { path, seen, closed };
}

const faultsOf = (each: number): Slots =>
  new Slots({ of: 'node', what: 'faults', total: 100, each, reserve: 1, waiting: 0, waitMs: 0 });
const person = { holder: 'p', group: 'g' } as const;
const doorWith = (
  faults: Slots,
  within: Door<undefined>['within'] = (_call, work) => work(undefined),
): Door<undefined> => ({
  within,
  mayErr: () => takeFault(faults, person),
});

/** Sends messages one after the other, and returns what comes back until the other side ends the connection. */
async function raw(path: string, messages: readonly unknown[]): Promise<readonly string[]> {
  const socket = connect(path);
  const reader = new FrameReader();
  const answers: string[] = [];
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    for (const one of reader.push(chunk)) {
      const { error } = one as { readonly error?: { readonly code: string; readonly message: string } };
      answers.push(error === undefined ? 'answered' : `${error.code}: ${error.message}`);
    }
  });
  let isOver = false;
  // The other side may end the connection while we write: that is an end like any other.
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      isOver = true;
      resolve();
    }),
  );
  for (const message of messages) {
    if (isOver) break;
    const before = answers.length;
    socket.write(encodeFrame(message));
    for (let i = 0; i < 20 && !isOver && answers.length === before; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await closed;
  return answers;
}

test('a call has its place before its parameters are read; without a place they are not read, and nothing more is read from its connection for a moment', async (t) => {
  let admit = (): void => {};
  const admitted = new Promise<void>((resolve) => {
    admit = resolve;
  });
  const { path, seen } = await serveBehind(
    t,
    doorWith(faultsOf(5), async ({ op, params }, work) => {
      seen.push(`asked ${op} ${JSON.stringify(params)}`);
      await admitted;
      return work(undefined);
    }),
  );
  const socket = connect(path);
  t.teardown(() => {
    socket.destroy();
  });
  socket.write(encodeFrame({ id: 1, op: 'look', params: { text: 'a' } }));
  for (const end = performance.now() + 20_000; seen.length === 0 && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.same(seen, ['asked look {"text":"a"}'], 'the door has the call, and nobody has read its parameters');
  admit();
  await once(socket, 'data');
  t.same(seen.slice(1), ['read a', 'served a']);

  const noPlace = new CofferdamError('over-limit', 'no place');
  const crowded = await serveBehind(
    t,
    doorWith(faultsOf(5), () => Promise.reject(noPlace)),
  );
  const asker = connect(crowded.path);
  t.teardown(() => {
    asker.destroy();
  });
  let answers = 0;
  const reader = new FrameReader();
  asker.on('data', (chunk: Buffer) => (answers += reader.push(chunk).length));
  const frame = encodeFrame({ id: 1, op: 'look', params: { text: 'x'.repeat(1000) } });
  const started = performance.now();
  while (performance.now() - started < 1000) {
    if (asker.writableLength < 200_000) asker.write(frame);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const elapsed = performance.now() - started;
  t.ok(answers > 0, 'the caller is told');
  t.ok(
    answers <= (elapsed / 100 + 2) * 66,
    `and a piece of 64 KiB of its calls is read in each tenth of a second: ${answers} answers`,
  );
  t.same(crowded.seen, []);
});

test('malformed calls are refused with the name of the wrong field, up to a number a minute for each sender; each further one ends its connection', async (t) => {
  const faults = faultsOf(3);
  const { path, seen, closed } = await serveBehind(t, doorWith(faults));
  const good = connect(path);
  t.teardown(() => {
    good.destroy();
  });
  const wrong = { id: 1, op: 'look', params: { text: 1 } };
  const right = { id: 2, op: 'look', params: { text: 'a' } };
  good.write(encodeFrame(right));
  await once(good, 'data');
  const first = await raw(path, [wrong, right, wrong, wrong, wrong, right]);
  t.match(first, [
    /^invalid: the parameters have the wrong form: text: /,
    'answered',
    /^invalid/,
    /^invalid/,
    /^over-limit: too many messages of a wrong form in a minute: this connection ends.* text: /,
  ]);
  t.equal(first.length, 5, 'nothing after it is answered');
  t.match(closed, [/too many messages of a wrong form/]);
  t.match(await raw(path, [wrong, right]), [/^over-limit/], 'a new connection gets no new allowance');
  t.equal(faults.used, 3, 'no more faults are counted than are forgiven');
  const before = seen.length;
  good.write(encodeFrame(right));
  await once(good, 'data');
  t.same(seen.slice(before), ['read a', 'served a'], 'the other connection of the sender goes on');
});

test('answers to unknown calls count as faults as well; late answers do not', async (t) => {
  const { path, closed } = await serveBehind(t, doorWith(faultsOf(2)));
  t.same(await raw(path, Array(4).fill({ id: 9, result: {} })), []);
  t.match(closed, [/answers to unknown calls/]);

  // The caller's side: five calls time out before their answers come, and only two faults are forgiven.
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-rpc-'));
  const held: (() => void)[] = [];
  const server = createServer((socket) => {
    const reader = new FrameReader();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const one of reader.push(chunk))
        held.push(() => void socket.write(encodeFrame({ id: (one as { id: number }).id, result: { text: 'late' } })));
    });
  });
  const late = join(directory, 's');
  await new Promise<void>((resolve) => server.listen(late, resolve));
  const ended: string[] = [];
  const peer = new Peer({
    stream: connect(late),
    serves: none,
    handlers: none,
    calls: table,
    door: doorWith(faultsOf(2)),
    limits: { ...peerLimits, callTimeoutMs: 50 },
    onClose: (reason) => ended.push(reason.message),
    onBug: () => {},
  });
  t.teardown(() => {
    peer.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  for (let i = 0; i < 5; i += 1) await t.rejects(peer.call('echo', { text: 'a' }), { message: 'no answer in time' });
  for (const answer of held.splice(0)) answer();
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.same(ended, [], 'the connection goes on');
});

test('what we send is checked before it is sent: for a union, the error names the wrong field of the variant that was meant', async (t) => {
  const shape = {
    one: operation({
      changes: false,
      params: z.union([
        z.strictObject({ kind: z.literal('a'), size: z.number() }),
        z.strictObject({ other: z.string(), more: z.string() }),
      ]),
      result: z.strictObject({}),
    }),
  } as const;
  t.doesNotThrow(() => checkCall(shape, 'one', { kind: 'a', size: 1 }));
  t.throws(() => checkCall(shape, 'one', { kind: 'a', size: 'x' } as never), { code: 'invalid', message: /: size: / });
  t.throws(() => checkCall(table, 'echo', { text: 1 } as never), { code: 'invalid', message: /: text: / });
});

test('frames are read complete, also when they arrive byte by byte; frames that are too large are not sent', async (t) => {
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
