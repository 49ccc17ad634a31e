// Packets out of a stream of bytes, however the stream is cut; and how much memory is held for what waits, to the byte.
import { test } from 'tap';
import { PacketCutter, packetBytesMax } from '../../server/edge/sftp/packet-cutter.ts';
import { Random } from '../fuzz/mutate.ts';

/** A packet whose body has this length and repeats this byte. */
function packet(bytes: number, fill = 7): Buffer {
  const whole = Buffer.alloc(4 + bytes, fill);
  whole.writeUInt32BE(bytes);
  return whole;
}
const begun = (declared: number, given: number): Buffer => packet(declared).subarray(0, given);

test('the length of a packet has limits, and the limits themselves are allowed', (t) => {
  t.equal(packetBytesMax, 263_168);
  const cutter = new PacketCutter();
  t.same(
    [cutter.waitingBytes, cutter.heldBytes, cutter.hasPacket, cutter.next()],
    [0, 0, false, undefined],
    'nothing came yet',
  );
  cutter.push(packet(1));
  t.same(cutter.next(), Buffer.of(7));
  cutter.push(begun(263_168, 100));
  t.equal(cutter.hasPacket, false, 'the longest packet has only begun');
  cutter.push(packet(263_168).subarray(100));
  t.equal(cutter.next()?.length, 263_168);
  for (const wrong of [0, 263_169, 0xffff_ffff]) {
    const refusing = new PacketCutter();
    const header = Buffer.alloc(4);
    header.writeUInt32BE(wrong);
    refusing.push(header);
    t.equal(refusing.hasPacket, true, 'it is known at once');
    t.throws(() => refusing.next(), { code: 'invalid', message: 'packet length out of bounds' }, `${wrong} bytes`);
  }
  t.end();
});

test('a packet is cut out of its chunk where it is, and a second one after it', (t) => {
  const cutter = new PacketCutter();
  const first = Buffer.concat([packet(3, 1), packet(2, 2)]);
  cutter.push(first);
  t.equal(cutter.heldBytes, first.length);
  t.equal(cutter.next()?.buffer, first.buffer, 'without a copy');
  t.same(cutter.next(), Buffer.of(2, 2));
  const second = packet(4, 3);
  cutter.push(second);
  t.same(cutter.next(), Buffer.alloc(4, 3));
  t.equal(cutter.waitingBytes, 0);
  cutter.keep();
  t.equal(cutter.heldBytes, 0, 'nothing waits, so nothing is held');
  t.end();
});

test('the buffer has room for the packet that has begun, and no more', (t) => {
  const heldFor = (chunk: Buffer): number => {
    const cutter = new PacketCutter();
    cutter.push(chunk);
    cutter.keep();
    t.equal(cutter.waitingBytes, chunk.length);
    return cutter.heldBytes;
  };
  t.equal(heldFor(begun(100, 3)), 4, 'room for its length');
  t.equal(heldFor(begun(100, 4)), 104, 'its length is known');
  t.equal(heldFor(begun(100, 10)), 104);
  t.equal(heldFor(packet(100)), 104, 'a whole packet');
  t.equal(heldFor(Buffer.concat([packet(6), packet(36)])), 75, 'half as much again as two packets');
  t.equal(heldFor(Buffer.concat([packet(6), packet(37)])), 77, 'and no less than that');
  t.equal(heldFor(begun(65_532, 10)), 65_536, 'a packet as long as the room behind one');
  t.equal(heldFor(begun(65_533, 10)), 65_537 + 65_536, 'a longer one has the room behind it');
  t.equal(heldFor(begun(263_168, 10)), 263_172 + 65_536);
  t.end();
});

test('memory is moved when it is borrowed or far too large, and not otherwise', (t) => {
  const cutter = new PacketCutter();
  cutter.push(Buffer.concat([packet(6), packet(36)]));
  cutter.keep();
  cutter.next();
  cutter.keep();
  t.equal(cutter.heldBytes, 75, 'what is our own stays');
  cutter.next();
  cutter.keep();
  t.equal(cutter.heldBytes, 0);
  const many = Buffer.concat(Array.from({ length: 10 }, () => packet(69_996)));
  cutter.push(Buffer.concat([many, packet(16)]));
  cutter.keep();
  t.equal(cutter.heldBytes, Math.ceil((700_000 + 20) * 1.5));
  for (let i = 0; i < 10; i += 1) cutter.next();
  cutter.keep();
  t.equal(cutter.heldBytes, 20, 'what a backlog left behind is given up');
  t.equal(cutter.next()?.length, 16);
  t.end();
});

test('the buffer is kept while what comes has room behind, or in front of what waits; otherwise a larger one takes its place', (t) => {
  /** What is held when `more` bytes come behind a packet that was taken and `open` bytes of the next one. */
  const heldAfter = (taken: number, open: number, more: number): number => {
    const cutter = new PacketCutter();
    const rest = packet(200, 9);
    cutter.push(Buffer.concat([packet(taken - 4), rest.subarray(0, open)]));
    cutter.keep();
    t.equal(cutter.heldBytes, 1.5 * (taken + open));
    t.equal(cutter.next()?.length, taken - 4);
    cutter.push(rest.subarray(open, open + more));
    const held = cutter.heldBytes;
    cutter.push(rest.subarray(open + more));
    t.same(cutter.next(), Buffer.alloc(200, 9), 'and the packet is what it is');
    return held;
  };
  t.equal(heldAfter(10, 40, 25), 75, 'it has room behind');
  t.equal(heldAfter(10, 40, 26), 204, 'there is neither, so the new one is as large as the packet');
  t.equal(heldAfter(100, 4, 52), 156, 'it has room behind');
  t.equal(heldAfter(100, 4, 53), 156, 'in front, as much has left as there is now');
  t.equal(heldAfter(100, 4, 96), 156);
  t.equal(heldAfter(100, 4, 97), 204, 'less has left than there would be');
  t.end();
});

test('the chunk of a caller is never written into', (t) => {
  const cutter = new PacketCutter();
  const rest = packet(200, 9);
  const chunk = Buffer.concat([packet(96), rest.subarray(0, 4)]);
  const before = Buffer.from(chunk);
  cutter.push(chunk);
  cutter.next();
  cutter.push(rest.subarray(4, 14));
  t.same(chunk, before);
  t.equal(cutter.heldBytes, 204);
  chunk.fill(0xff);
  cutter.push(rest.subarray(14));
  t.same(cutter.next(), Buffer.alloc(200, 9), 'nor needed any more');
  t.end();
});

test('a buffer of more than 512 KiB and four times what waits is given up', (t) => {
  const heldAfter = (first: number): number => {
    const cutter = new PacketCutter();
    cutter.push(Buffer.concat([packet(first), packet(174_846), begun(1000, 100)]));
    cutter.keep();
    cutter.next();
    cutter.next();
    cutter.keep();
    return cutter.heldBytes;
  };
  t.equal(heldAfter(174_838), 512 * 1024 + 4 * 100);
  t.equal(heldAfter(174_840), 1004, 'three bytes more: what waits gets what its packet needs');
  t.end();
});

test('small chunks that wait behind a packet share blocks of 32 KiB; a larger one has a block of its own', (t) => {
  const { allocUnsafeSlow } = Buffer;
  const blocks: number[] = [];
  Buffer.allocUnsafeSlow = (bytes) => {
    blocks.push(bytes);
    return allocUnsafeSlow(bytes);
  };
  t.teardown(() => {
    Buffer.allocUnsafeSlow = allocUnsafeSlow;
  });
  const behind = Buffer.concat([packet(31_996, 1), packet(764, 2), packet(1, 3), packet(39_995, 4), packet(1, 5)]);
  const cutter = new PacketCutter();
  cutter.push(packet(6));
  const push = (from: number, to: number): void => cutter.push(behind.subarray(from, to));
  for (let at = 0; at < 32_000; at += 1000) push(at, at + 1000);
  push(32_000, 32_768);
  t.same(blocks, [32_768]);
  push(32_768, 32_769);
  t.same(blocks, [32_768, 32_768], 'one byte more');
  push(32_769, 72_769);
  t.same(blocks, [32_768, 32_768, 40_000]);
  push(72_769, behind.length);
  t.same(blocks, [32_768, 32_768, 40_000, 32_768], 'a block of its own has no room');
  t.equal(cutter.waitingBytes, 10 + behind.length);
  t.same(
    [6, 31_996, 764, 1, 39_995, 1].map((bytes, i) => cutter.next()?.equals(Buffer.alloc(bytes, i === 0 ? 7 : i))),
    [true, true, true, true, true, true],
    'and the packets are what they are',
  );
  t.equal(cutter.waitingBytes, 0);
  t.end();
});

test('what arrives while a packet waits is counted, and cleared with it', (t) => {
  const cutter = new PacketCutter();
  cutter.push(packet(6));
  cutter.push(packet(5, 1));
  cutter.push(packet(4, 2).subarray(0, 5));
  t.same([cutter.waitingBytes, cutter.heldBytes], [10 + 9 + 5, 10 + 9 + 5], 'what waits behind it takes what it is');
  t.equal(cutter.next()?.length, 6);
  cutter.clear();
  t.same([cutter.waitingBytes, cutter.heldBytes, cutter.hasPacket], [0, 0, false]);
  cutter.push(packet(3, 9));
  t.same(cutter.next(), Buffer.alloc(3, 9), 'and the next stream begins anew');
  cutter.push(packet(6));
  cutter.push(packet(5, 1));
  t.equal(cutter.next()?.length, 6);
  t.same(cutter.next(), Buffer.alloc(5, 1));
  t.equal(cutter.next(), undefined);
  t.end();
});

test('the packets are the same, however the bytes are cut, kept and consumed', (t) => {
  const random = new Random(3);
  for (let run = 0; run < 300; run += 1) {
    const sizes = Array.from(
      { length: 1 + random.below(12) },
      () => 1 + random.below(random.below(4) === 0 ? 200_000 : 300),
    );
    const stream = Buffer.concat(sizes.map((size, i) => packet(size, i + 1)));
    const cutter = new PacketCutter();
    const got: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const to = Math.min(stream.length, at + 1 + random.below(random.below(2) === 0 ? 100_000 : 50));
      const chunk = Buffer.from(stream.subarray(at, to));
      at = to;
      cutter.push(chunk);
      while (random.below(3) > 0) {
        const one = cutter.next();
        if (one === undefined) break;
        got.push(Buffer.from(one));
      }
      cutter.keep();
      // The owner of the chunk may overwrite it now.
      chunk.fill(0xff);
    }
    for (let one = cutter.next(); one !== undefined; one = cutter.next()) got.push(Buffer.from(one));
    const areSame =
      got.length === sizes.length && got.every((one, i) => one.equals(Buffer.alloc(sizes[i] ?? 0, i + 1)));
    if (!areSame || cutter.waitingBytes !== 0) t.fail(`run ${run}: ${sizes.join()}`);
  }
  t.end();
});
