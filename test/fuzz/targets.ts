// Owns: what is fuzzed, each as one round against a running gateway: a valid conversation with some of its bytes
// changed.
import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { endsWithin, plainPacket, rawSocket } from '../support/attacks.ts';
import { transcript } from '../support/impostor.ts';
import { message, RawClient, sftpPacket, u32 } from '../support/raw-client.ts';
import { mutate, type Random } from './mutate.ts';

type FuzzTarget = {
  readonly port: number;
  readonly account: string;
  readonly key: string;
  readonly wardenSocket: string;
};
export type Round = (target: FuzzTarget, random: Random) => Promise<void>;

const settleMs = 30;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const kexInit = message(
  20,
  Buffer.alloc(16, 7),
  'mlkem768x25519-sha256,curve25519-sha256,ecdh-sha2-nistp256,kex-strict-c-v00@openssh.com,ext-info-c',
  'ssh-ed25519,ecdsa-sha2-nistp256',
  'aes128-gcm@openssh.com,aes256-ctr',
  'aes128-gcm@openssh.com,aes256-ctr',
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-256-etm@openssh.com',
  'none',
  'none',
  '',
  '',
  Uint8Array.of(0),
  u32(0),
);

/** Identification and key exchange, in the clear. */
export const handshake: Round = async (target, random) => {
  const { socket, closed } = rawSocket({ port: target.port, account: '', key: '', localAddress: '127.0.0.1' });
  const ident = Buffer.from('SSH-2.0-OpenSSH_9.6 fuzz\r\n');
  const parts = [
    ident,
    plainPacket(kexInit),
    plainPacket(message(30, u32(32), random.bytes(32))),
    plainPacket(message(21)),
  ];
  const victim = random.below(parts.length);
  for (const [i, part] of parts.entries())
    socket.write(
      i === victim ? mutate(part, random) : random.below(8) === 0 ? plainPacket(mutate(kexInit, random)) : part,
    );
  await endsWithin(settleMs, closed);
  socket.destroy();
};

const authMessages: readonly Buffer[] = [
  message(5, 'ssh-userauth'),
  message(50, 'acme', 'ssh-connection', 'none'),
  message(50, 'acme', 'ssh-connection', 'password', Uint8Array.of(0), 'x'),
  message(50, 'acme', 'ssh-connection', 'password', Uint8Array.of(1), 'x', 'y'),
  message(
    50,
    'acme',
    'ssh-connection',
    'publickey',
    Uint8Array.of(0),
    'ssh-ed25519',
    message(0, 'ssh-ed25519', Buffer.alloc(36, 1)).subarray(1),
  ),
  message(50, 'acme', 'ssh-connection', 'keyboard-interactive', '', ''),
  message(61, u32(1), '123456'),
  message(61, u32(0)),
  message(2, 'ignored'),
];

/** User authentication, under encryption. */
export const authentication: Round = async (target, random) => {
  const client = await RawClient.open({ port: target.port });
  if (await Promise.race([client.ready, sleep(5000).then(() => false)])) {
    if (random.below(4) > 0) client.send(message(5, 'ssh-userauth'));
    if (random.below(2) === 0) client.send(client.authRequest(target.account === '' ? 'acme' : 'acme', target.key));
    for (let left = 1 + random.below(4); left > 0; left -= 1) {
      const one = random.pick([...authMessages, client.authRequest('acme', target.key)]);
      client.send(random.below(4) === 0 ? one : mutate(one, random));
    }
    await endsWithin(settleMs, client.closed);
  }
  client.close();
};

const sftpMessages: readonly Buffer[] = [
  sftpPacket(1, u32(3)),
  sftpPacket(3, u32(1), '/deposit/fuzz.part', u32(0x1a), u32(0)),
  sftpPacket(3, u32(1), '/collect/x', u32(1), u32(0)),
  sftpPacket(4, u32(2), Buffer.from([0, 0, 0, 1, 48])),
  sftpPacket(5, u32(3), Buffer.from([0, 0, 0, 1, 48]), u32(0), u32(0), u32(1000)),
  sftpPacket(6, u32(4), Buffer.from([0, 0, 0, 1, 48]), u32(0), u32(0), u32(100), Buffer.alloc(100, 1)),
  sftpPacket(7, u32(5), '/deposit'),
  sftpPacket(9, u32(6), '/deposit/fuzz.part', u32(12), u32(0o644), u32(1), u32(1)),
  sftpPacket(10, u32(7), Buffer.from([0, 0, 0, 1, 48]), u32(1), u32(0), u32(0)),
  sftpPacket(11, u32(8), '/deposit'),
  sftpPacket(12, u32(9), Buffer.from([0, 0, 0, 1, 48])),
  sftpPacket(13, u32(10), '/deposit/fuzz.part'),
  sftpPacket(14, u32(11), '/deposit/d', u32(0)),
  sftpPacket(16, u32(12), '/deposit/../..'),
  sftpPacket(17, u32(13), '/'),
  sftpPacket(18, u32(14), '/deposit/fuzz.part', '/deposit/fuzz2.part'),
  sftpPacket(19, u32(15), '/'),
  sftpPacket(20, u32(16), '/a', '/b'),
  sftpPacket(200, u32(17), 'posix-rename@openssh.com', '/deposit/fuzz2.part', '/deposit/fuzz.part'),
  sftpPacket(200, u32(18), 'limits@openssh.com'),
  sftpPacket(200, u32(19), 'statvfs@openssh.com', '/'),
];
const channelMessages: readonly Buffer[] = [
  message(80, 'keepalive@openssh.com', Uint8Array.of(1)),
  message(80, 'hostkeys-prove-00@openssh.com', Uint8Array.of(1), 'x'),
  message(90, 'session', u32(1), u32(100_000), u32(32_768)),
  message(93, u32(0), u32(1000)),
  message(95, u32(0), u32(1), 'x'),
  message(96, u32(0)),
  message(97, u32(0)),
  message(98, u32(0), 'subsystem', Uint8Array.of(1), 'sftp'),
  message(98, u32(0), 'env', Uint8Array.of(0), 'A', 'b'),
  message(20, Buffer.alloc(16), 'x'),
];

/** Channels and SFTP, logged in. */
export const session: Round = async (target, random) => {
  const client = await RawClient.open({ port: target.port });
  if ((await client.login(target.account, target.key)) && (await client.sftp())) {
    for (let left = 5 + random.below(30); left > 0 && !client.isClosed; left -= 1) {
      const packet = random.pick(sftpMessages);
      const kind = random.below(10);
      if (kind < 6) client.data(random.below(3) === 0 ? packet : mutateBody(packet, random));
      else if (kind < 8) client.data(mutate(packet, random));
      else client.send(mutate(random.pick(channelMessages), random));
    }
    await endsWithin(settleMs, client.closed);
  }
  client.close();
};

/** Keeps the packet's own length right, so that the change reaches the parsers behind it. */
function mutateBody(packet: Buffer, random: Random): Buffer {
  const body = mutate(packet.subarray(4), random);
  return Buffer.concat([u32(body.length), body]);
}

const token = 'A'.repeat(43);
const objectId = 'a'.repeat(32);
const extent = { index: 0, objectId, bytes: 10, sealedBytes: 100 };
const calls: readonly (readonly [string, () => unknown])[] = [
  ['node.hello', () => ({ protocol: 1, startId: randomUUID() })],
  ['lease.renew', () => ({ sessions: 1, epoch: 1, active: [] })],
  ['exchange.sign', () => transcript('00'.repeat(8))],
  ['exchange.prove-host-keys', () => ({ token, hostKeys: ['AAAA'] })],
  [
    'login.attempt',
    () => ({
      connection: randomUUID(),
      source: { address: '192.0.2.1', port: 1 },
      username: 'acme',
      evidence: { type: 'none' },
    }),
  ],
  ['login.abandon', () => ({ connection: randomUUID() })],
  ['session.end', () => ({ token, reason: 'idle', bytesIn: 0, bytesOut: 0 })],
  ['tree.stat', () => ({ token, path: ['deposit'] })],
  ['tree.space', () => ({ token, path: ['deposit'] })],
  ['tree.list', () => ({ token, path: ['deposit'], limit: 10 })],
  ['tree.remove', () => ({ token, path: ['deposit', 'x'] })],
  ['tree.rename', () => ({ token, from: ['a'], to: ['b'], replace: true })],
  ['tree.make-directory', () => ({ token, path: ['a'] })],
  ['tree.remove-directory', () => ({ token, path: ['a'] })],
  ['tree.set-times', () => ({ token, path: ['a'], modifiedAt: 1 })],
  ['upload.open', () => ({ token, path: ['deposit', 'x'], continue: false, exclusive: false })],
  ['upload.offer', () => ({ token, path: ['deposit', 'x'], continue: false, exclusive: false })],
  ['upload.begin', () => ({ token, upload: randomUUID(), path: ['deposit', 'x'], standing: 0 })],
  [
    'upload.put',
    () => ({
      token,
      upload: randomUUID(),
      whole: true,
      size: 10,
      sha256: 'a'.repeat(64),
      extent: { objectId, bytes: 10, sealedBytes: 100, inline: randomBytes(100).toString('base64') },
    }),
  ],
  ['upload.begin-extent', () => ({ token, upload: randomUUID() })],
  ['upload.seal-extent', () => ({ token, upload: randomUUID(), extent })],
  ['upload.verify-extent', () => ({ token, upload: randomUUID(), index: 0 })],
  ['upload.rewrite', () => ({ token, upload: randomUUID(), cut: true })],
  ['upload.base-extent', () => ({ token, upload: randomUUID(), offset: 0 })],
  [
    'upload.close',
    () => ({ token, upload: randomUUID(), whole: true, size: 1, sha256: 'a'.repeat(64), lastExtent: extent }),
  ],
  ['upload.interrupt', () => ({ token, upload: randomUUID() })],
  ['download.open', () => ({ token, path: ['a'] })],
  ['download.locate', () => ({ token, download: randomUUID(), offset: 0 })],
  ['download.grant', () => ({ token, download: randomUUID(), index: 0 })],
  ['download.close', () => ({ token, download: randomUUID(), sentBytes: 1, by: 'client' })],
  ['flow.permit', () => ({ token, customer: randomUUID(), direction: 'out', bytes: 1 })],
  ['console.run', () => ({ token, line: 'unlock acme-batch --for 8h' })],
  ['console.input', () => ({ token, text: '123456' })],
  ['self-test.begin', () => ({ key: randomBytes(51).toString('base64') })],
  ['self-test.code', () => ({})],
  ['self-test.report', () => ({ checks: [{ check: 'cap', bites: true, text: 'x' }] })],
];
export const untriedCalls = Object.keys(edgeToWarden).filter((name) => !calls.some(([op]) => op === name));

const odd: readonly unknown[] = [
  null,
  -1,
  1e308,
  2 ** 53,
  '',
  '\u0000',
  '../..',
  [],
  {},
  true,
  'x'.repeat(5000),
  ['..'],
  { __proto__: null },
  'constructor',
  Number.NaN,
];

function mutateValue(value: unknown, random: Random): unknown {
  if (random.below(4) === 0) return random.pick(odd);
  if (Array.isArray(value)) return value.map((one) => (random.below(2) === 0 ? mutateValue(one, random) : one));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([name, one]) => [name, random.below(3) === 0 ? mutateValue(one, random) : one] as const,
    );
    return Object.fromEntries(
      random.below(6) === 0
        ? [...entries, [random.pick(['__proto__', 'constructor', 'node', 'plane', 'token']), random.pick(odd)]]
        : entries,
    );
  }
  if (typeof value === 'string') return mutate(Buffer.from(value), random).toString('latin1');
  return typeof value === 'number' ? value + random.below(5) - 2 : value;
}

/** Frames that a compromised edge could send to its warden: bytes changed, or values changed in well-formed JSON. */
export const rpcFrames: Round = async (target, random) => {
  const socket = connect(target.wardenSocket);
  socket.on('error', () => {});
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const frame = (value: unknown): Buffer => {
    const body = Buffer.from(JSON.stringify(value));
    return Buffer.concat([u32(body.length), body]);
  };
  if (random.below(3) > 0)
    socket.write(frame({ id: 0, op: 'node.hello', params: { protocol: 1, startId: randomUUID() } }));
  for (let left = 1 + random.below(20); left > 0; left -= 1) {
    const [op, params] = random.pick(calls);
    const call = { id: left, op, params: params() };
    const kind = random.below(10);
    if (kind < 2) socket.write(mutate(frame(call), random));
    else if (kind < 3) socket.write(frame(mutateValue(call, random)));
    else if (kind < 9) socket.write(frame({ ...call, params: mutateValue(call.params, random) }));
    else socket.write(frame(call));
  }
  await endsWithin(settleMs, closed);
  socket.destroy();
};
