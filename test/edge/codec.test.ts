// Packets of SFTP: cut out of a stream, parsed with bounds, and replies.
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'tap';
import { FieldReader, namePacket, readAttributes, statusPacket } from '../../server/edge/sftp/codec.ts';
import { PacketCutter, packetBytesMax } from '../../server/edge/sftp/packet-cutter.ts';

const framed = (body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};

test('packets come out complete, however the stream was cut', async (t) => {
  for (let round = 0; round < 200; round += 1) {
    const bodies = Array.from({ length: randomInt(1, 20) }, () => randomBytes(randomInt(1, 3000)));
    const stream = Buffer.concat(bodies.map(framed));
    const cutter = new PacketCutter();
    const got: Buffer[] = [];
    const step = round === 0 ? 1 : randomInt(1, 5000);
    for (let at = 0; at < stream.length; at += step) {
      // The buffer that the socket gave belongs to somebody else afterwards.
      const chunk = Buffer.from(stream.subarray(at, at + step));
      cutter.push(chunk);
      // Some packets are consumed at once, the others after more has arrived.
      for (let left = randomInt(0, 4) || Number.POSITIVE_INFINITY; left > 0; left -= 1) {
        const packet = cutter.next();
        if (packet === undefined) break;
        got.push(Buffer.from(packet));
      }
      cutter.keep();
      chunk.fill(0xee);
    }
    for (let packet = cutter.next(); packet !== undefined; packet = cutter.next()) got.push(Buffer.from(packet));
    cutter.keep();
    if (cutter.waitingBytes !== 0 || cutter.heldBytes !== 0) t.fail(`round ${round}: something is left`);
    if (got.length !== bodies.length || !Buffer.concat(got).equals(Buffer.concat(bodies))) t.fail(`round ${round}`);
  }
  t.pass('200 rounds');
});

test('a length beyond the limits ends the stream before anything is allocated', async (t) => {
  for (const length of [0, packetBytesMax + 1, 0x7fff_ffff, 0xffff_ffff]) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    const cutter = new PacketCutter();
    cutter.push(head);
    t.ok(cutter.hasPacket || length === 0, 'it is looked at, whatever else waits');
    t.throws(() => cutter.next(), { code: 'invalid' }, String(length));
  }
});

test('what waits takes a bounded multiple of its bytes, and keeps nothing of the buffers in which it arrived', async (t) => {
  const cutter = new PacketCutter();
  const socket = Buffer.alloc(65_536, 1);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(30);
  let most = 0;
  for (let i = 0; i < 200_000; i += 1) {
    cutter.push(i % 34 < 4 ? head.subarray(i % 34, (i % 34) + 1) : socket.subarray(i % 60_000, (i % 60_000) + 1));
    cutter.keep();
    most = Math.max(most, cutter.heldBytes / (cutter.waitingBytes + 1024));
  }
  t.ok(most < 2, `at most ${most.toFixed(2)} bytes for each that waits`);
  const many = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.concat([head, Buffer.alloc(30)])));
  const rest = Buffer.alloc((34 - (200_000 % 34)) % 34);
  for (const chunk of [rest, ...Array.from({ length: 100 }, () => many)]) {
    cutter.push(chunk);
    cutter.keep();
  }
  t.ok(cutter.heldBytes > 3_000_000);
  let packets = 0;
  while (cutter.next() !== undefined) packets += 1;
  cutter.keep();
  t.equal(packets, Math.ceil(200_000 / 34) + 100_000);
  t.equal(cutter.heldBytes, 0, 'and given back');
  for (let i = 0; i < 100; i += 1) {
    cutter.push(many);
    cutter.keep();
  }
  cutter.push(head);
  while (cutter.next() !== undefined);
  cutter.keep();
  t.ok(cutter.waitingBytes === 4 && cutter.heldBytes < 200_000, 'a packet that has begun keeps no more than it needs');
});

test('fields beyond the end of the packet are refused, wherever it is cut', async (t) => {
  const body = Buffer.concat([
    framed(Buffer.from('handle')),
    Buffer.alloc(8, 1),
    Buffer.from([0, 0, 0, 0xd]),
    Buffer.alloc(8),
    Buffer.alloc(4),
    Buffer.alloc(8),
  ]);
  const read = (bytes: Buffer): void => {
    const fields = new FieldReader(bytes);
    fields.string();
    fields.uint32();
    fields.uint32();
    readAttributes(fields);
  };
  read(body);
  for (let cut = 0; cut < body.length; cut += 1)
    t.throws(() => read(body.subarray(0, cut)), { code: 'malformed' }, `cut at ${cut}`);
  t.throws(() => new FieldReader(Buffer.alloc(7, 0xff)).uint64(), { code: 'malformed' }, 'half a number');
  t.equal(new FieldReader(Buffer.alloc(8, 0xff)).uint64(), Number.MAX_SAFE_INTEGER, 'a place that no file has');
});

test('replies contain what they are made of', async (t) => {
  const status = statusPacket(7, 3, 'nö');
  t.equal(status.readUInt32BE(0), status.length - 4);
  t.equal(status.readUInt32BE(9), 3);
  const names = namePacket(1, [
    { name: 'a', longName: 'long a', attributes: { kind: 'file', size: 5, permissions: 0o640, modifiedAt: 1 } },
  ]);
  t.equal(names.readUInt32BE(0), names.length - 4);
  t.equal(names.readUInt32BE(9), 1);
});
