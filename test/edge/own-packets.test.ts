// Packets that are deciphered and sealed where they lie: byte for byte what ssh2 does, for every kind of cipher that we
// offer, however the stream is cut; and nothing of a packet that is forged or too long.
import { randomBytes } from 'node:crypto';
import { type Test, test } from 'tap';
import { Outbound } from '../../server/edge/transport/outbound.ts';
import { OwnPackets, useOwnPackets } from '../../server/edge/transport/own-packets.ts';
import { checkOwnPackets, cipherPair } from '../../server/edge/transport/own-packets-check.ts';
import type { CoreCipher, CoreDecipher, CoreProtocol } from '../../server/edge/transport/ssh2-core.ts';
import type { SocketReader } from '../../server/rpc/own-buffer.ts';

const kinds = [
  ...['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'].map((cipher) => ({ cipher, mac: undefined })),
  ...['aes128-ctr', 'aes256-ctr'].flatMap((cipher) =>
    ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'].map((mac) => ({ cipher, mac })),
  ),
];
const notOurs = { cipher: 'aes256-ctr', mac: 'hmac-sha2-256' };
type Kind = (typeof kinds)[number] | typeof notOurs;
const data = 94;
const payloads = [
  Buffer.of(2),
  Buffer.concat([Buffer.of(data), randomBytes(32_768)]),
  Buffer.concat([Buffer.of(20), randomBytes(1500)]),
  ...Array.from({ length: 40 }, (_, i) => Buffer.concat([Buffer.of(i % 2 === 0 ? data : 80), randomBytes(i)])),
  Buffer.concat([Buffer.of(data), randomBytes(34_900)]),
  Buffer.concat([Buffer.of(data), randomBytes(10)]),
];

test('deciphering in place was verified on this machine, and its text says so', (t) => {
  t.same(checkOwnPackets(), { isOwn: true, text: 'packets are deciphered and sealed where they lie' });
  t.end();
});

function output() {
  const sent: Buffer[] = [];
  const socket = { destroyed: false, write: (bytes: Buffer) => void sent.push(Buffer.from(bytes)) };
  const reader = { socket, pause: () => {}, resume: () => {} } as unknown as SocketReader;
  return { sent, outbound: new Outbound({ reader, waitingMax: 2 ** 20, onRoom: () => {} }) };
}

/** As much of ssh2's Protocol as is needed. */
function protocolOf(cipher: CoreCipher): CoreProtocol {
  return {
    _cipher: cipher,
    _kexinit: undefined,
    parse(this: CoreProtocol, chunk: Buffer, from: number, to: number) {
      for (let at: number | undefined = from; at !== undefined && at < to; ) at = this._decipher.decrypt(chunk, at, to);
    },
  } as unknown as CoreProtocol;
}

/** What a client sends: the packets as ssh2 seals them, and our side of the connection. */
function received(kind: Kind, take: (payload: Buffer) => unknown, isHeld: () => boolean = () => false) {
  const packets: Buffer[] = [];
  const pair = cipherPair(kind, (bytes) => void packets.push(Buffer.from(bytes)), take as (payload: Buffer) => void);
  const cipher = pair.cipher as CoreCipher & { allocPacket(bytes: number): Buffer };
  for (const payload of payloads) {
    const packet = cipher.allocPacket(payload.length);
    packet.set(payload, 5);
    cipher.encrypt(packet);
  }
  const protocol = protocolOf(pair.cipher);
  const ours = new OwnPackets(protocol, output().outbound, isHeld);
  protocol._decipher = pair.decipher;
  return { ours, protocol, packets, stream: Buffer.concat(packets), decipher: pair.decipher };
}

/** Gives a stream in pieces, in one memory that is written over by the next piece as a socket's is. */
function give(ours: OwnPackets, stream: Buffer, length: () => number): void {
  const memory = Buffer.alloc(400_000);
  for (let at = 0; at < stream.length; ) {
    const bytes = memory.subarray(0, stream.copy(memory, 0, at, Math.min(stream.length, at + length())));
    if (ours.take(bytes) !== bytes.length) throw new Error('not all were used');
    at += bytes.length;
    memory.fill(0xee);
  }
}
const isSame = (t: Test, got: readonly Buffer[], what: string): void => {
  t.equal(got.length, payloads.length, what);
  t.ok(
    got.every((one, i) => one.equals(payloads[i] as Buffer)),
    what,
  );
};

for (const kind of kinds) {
  const name = [kind.cipher, kind.mac].filter(Boolean).join(' ');

  test(`${name}: what ssh2 seals, whole, byte by byte and in pieces of any size`, (t) => {
    const steps = [() => 400_000, () => 1, () => 16, () => 4099, () => 1 + Math.floor(Math.random() * 70_000)];
    for (const [i, step] of steps.entries()) {
      const got: Buffer[] = [];
      const { ours, protocol, stream } = received(kind, (payload) => void got.push(Buffer.from(payload)));
      t.equal(ours.isOwn, true);
      give(ours, stream, step);
      isSame(t, got, `step ${i}`);
      t.equal(protocol._decipher.inSeqno, 3 + payloads.length, 'packets are counted as ssh2 counts them');
    }
    t.end();
  });

  test(`${name}: only data lies in memory that is used again`, (t) => {
    const kept: Buffer[] = [];
    const { ours, stream } = received(kind, (payload) => void kept.push(payload));
    give(ours, stream, () => 5000);
    for (const [i, payload] of payloads.entries())
      if (payload[0] !== data) t.ok(kept[i]?.equals(payload), `a payload of type ${payload[0]} may be kept`);
    t.end();
  });

  test(`${name}: a bit that is wrong anywhere in a packet, and everything behind it`, (t) => {
    for (const step of [400_000, 1]) {
      const { packets } = received(kind, () => {});
      const bits = [4, 5, 20, 21, (packets[0] as Buffer).length - 1, (packets[0] as Buffer).length - 10];
      for (const at of bits) {
        const got: Buffer[] = [];
        const attempt = received(kind, (payload) => void got.push(Buffer.from(payload)));
        const forged = Buffer.from(attempt.stream);
        forged[at] = (forged[at] as number) ^ 1;
        t.throws(() => give(attempt.ours, forged, () => step), `byte ${at}`);
        t.same(got, [], 'nothing of it was handed on');
        t.throws(() => attempt.ours.take(Buffer.from(attempt.stream)), 'nor what comes afterwards');
      }
    }
    t.end();
  });

  test(`${name}: lengths that ssh2 refuses`, (t) => {
    const alike = (length: number): void => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(length);
      const refuses = (decipher: CoreDecipher): boolean => {
        try {
          decipher.decrypt(Buffer.from(bytes), 0, bytes.length);
          return false;
        } catch {
          return true;
        }
      };
      const theirs = cipherPair(
        kind,
        () => {},
        () => {},
      ).decipher;
      const { protocol } = received(kind, () => {});
      t.equal(refuses(protocol._decipher), refuses(theirs), `a length of ${length}`);
    };
    for (let length = 0; length < 70; length += 1) alike(length);
    for (const length of [34_960, 34_976, 34_980, 34_992, 35_000, 35_004, 35_008, 2 ** 31, 2 ** 32 - 16, 2 ** 32 - 1])
      alike(length);
    t.end();
  });

  test(`${name}: what we seal, ssh2 opens`, (t) => {
    const got: Buffer[] = [];
    const pair = cipherPair(
      kind,
      () => {},
      (payload) => void got.push(Buffer.from(payload)),
    );
    const { sent, outbound } = output();
    const ours = new OwnPackets(protocolOf(pair.cipher), outbound, () => false);
    for (const [i, payload] of payloads.entries()) {
      const middle = Math.floor(payload.length / 2);
      t.equal(ours.send([payload.subarray(0, middle), payload.subarray(middle)]), true);
      if (i % 7 === 0) outbound.flush();
    }
    outbound.flush();
    const stream = Buffer.concat(sent);
    t.equal(stream.length, outbound.writtenBytes);
    pair.decipher.decrypt(stream, 0, stream.length);
    isSame(t, got, name);
    t.equal(pair.cipher.outSeqno, 3 + payloads.length);
    t.end();
  });

  test(`${name}: a connection that is held gets no more, and what was left comes later`, (t) => {
    const got: Buffer[] = [];
    let isHeld = true;
    const { ours, stream } = received(
      kind,
      (payload) => void got.push(Buffer.from(payload)),
      () => isHeld,
    );
    let at = 0;
    for (let i = 1; i <= 5; i += 1) {
      at += ours.take(Buffer.from(stream.subarray(at)));
      t.equal(got.length, i, 'one packet at a time');
    }
    isHeld = false;
    ours.take(Buffer.from(stream.subarray(at)));
    isSame(t, got, 'all of them');
    t.end();
  });
}

test('a cipher of another kind, and everything when nothing was verified, is left to ssh2', (t) => {
  const outcomes = (kind: Kind, what: string): void => {
    const got: Buffer[] = [];
    const { ours, stream } = received(kind, (payload) => void got.push(payload));
    t.equal(ours.isOwn, false, what);
    // ssh2 keeps parts of what it is given, so it is given copies.
    const memory = Buffer.from(stream);
    t.equal(ours.take(memory), stream.length);
    t.ok(memory.equals(stream));
    memory.fill(0);
    isSame(t, got, what);
  };
  outcomes(notOurs, 'a MAC over what is not encrypted');
  useOwnPackets(false);
  outcomes(kinds[0] as Kind, 'not verified');
  useOwnPackets(true);
  t.end();
});

test('new keys in the middle of what was read, of a kind that is ours or is not', (t) => {
  for (const [from, to] of [
    [kinds[0], kinds[1]],
    [kinds[0], notOurs],
    [notOurs, kinds[5]],
  ] as const) {
    const got: Buffer[] = [];
    const old = received(from as Kind, (payload) => {
      got.push(Buffer.from(payload));
      if (got.length < payloads.length) return undefined;
      old.protocol._decipher = fresh.decipher;
      return false;
    });
    const fresh = received(to as Kind, (payload) => void got.push(payload));
    const bytes = Buffer.concat([old.stream, fresh.stream]);
    // The last packet comes later. ssh2 must not rely on the memory in which the others came.
    const split = bytes.length - 5;
    t.equal(old.ours.take(bytes.subarray(0, split)), split);
    const last = Buffer.from(bytes.subarray(split));
    if (to === notOurs) bytes.fill(0);
    old.ours.take(last);
    t.equal(got.length, 2 * payloads.length);
    if (to === notOurs) isSame(t, got.slice(payloads.length), 'with the new keys');
  }
  t.end();
});

test('a decipher whose connection is over opens nothing more', (t) => {
  const { ours, protocol, stream } = received(kinds[0] as Kind, () => t.fail('a payload'));
  protocol._decipher.free();
  t.throws(() => ours.take(Buffer.from(stream)));
  t.end();
});
