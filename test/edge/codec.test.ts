import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'tap';
import { FieldReader, namePacket, PacketStream, packetBytesMax, readAttributes, statusPacket } from '../../server/edge/sftp/codec.ts';

const framed = (body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};

test('packets come out whole, however the stream was cut', async (t) => {
  for (let round = 0; round < 200; round += 1) {
    const bodies = Array.from({ length: randomInt(1, 20) }, () => randomBytes(randomInt(1, 3000)));
    const stream = Buffer.concat(bodies.map(framed));
    const reader = new PacketStream();
    const got: Buffer[] = [];
    const step = round === 0 ? 1 : randomInt(1, 5000);
    for (let at = 0; at < stream.length; at += step)
      for (const slices of reader.push(stream.subarray(at, at + step))) got.push(Buffer.concat(slices as Buffer[]));
    if (got.length !== bodies.length || !Buffer.concat(got).equals(Buffer.concat(bodies))) t.fail(`round ${round}`);
  }
  t.pass('200 rounds');
});

test('a length out of bounds ends the stream before anything is held', async (t) => {
  for (const length of [0, packetBytesMax + 1, 0x7fff_ffff, 0xffff_ffff]) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    t.throws(() => [...new PacketStream().push(head)], { code: 'invalid' }, String(length));
  }
});

test('fields beyond the packet are refused, at every cut', async (t) => {
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
  for (let cut = 0; cut < body.length; cut += 1) t.throws(() => read(body.subarray(0, cut)), { code: 'invalid' }, `cut at ${cut}`);
  t.throws(() => new FieldReader(Buffer.alloc(8, 0xff)).uint64(), { code: 'invalid' }, 'an offset no file has');
});

test('replies say what they hold', async (t) => {
  const status = statusPacket(7, 3, 'nö');
  t.equal(status.readUInt32BE(0), status.length - 4);
  t.equal(status.readUInt32BE(9), 3);
  const names = namePacket(1, [
    { name: 'a', longName: 'long a', attributes: { kind: 'file', size: 5, permissions: 0o640, modifiedAt: 1 } },
  ]);
  t.equal(names.readUInt32BE(0), names.length - 4);
  t.equal(names.readUInt32BE(9), 1);
});
