// One channel without a connection: the receive window is enforced to the byte, the client's is kept, and what waits is counted.
import { test } from 'tap';
import { BufferReserve, floors } from '../../server/edge/transport/buffer-reserve.ts';
import { Channel, message } from '../../server/edge/transport/channel.ts';

function open(given: { readonly window?: number; readonly ownWindow?: number; readonly bytesMax?: number } = {}) {
  const said: Buffer[] = [];
  const seen = { failed: [] as string[], isWritable: true, closed: 0, received: 0 };
  const reserve = new BufferReserve(given.bytesMax ?? 512 * 2 ** 20);
  const channel = new Channel(
    {
      send: (parts) => said.push(Buffer.concat(parts as Uint8Array[])),
      maySendData: () => seen.isWritable,
      fail: (reason) => seen.failed.push(reason),
      closed: () => (seen.closed += 1),
    },
    { remoteId: 7, window: given.window ?? 1_000_000, packetMax: 32_768, ownWindow: given.ownWindow ?? 1_000_000, reserve },
  );
  channel.input = {
    isBusy: false,
    data: (chunk) => (seen.received += chunk.length),
    eof: () => {},
    closed: async () => {},
  };
  const adjustments = (): number[] => said.filter((one) => one[0] === message.windowAdjust).map((one) => one.readUInt32BE(5));
  return { channel, said, seen, reserve, adjustments };
}

test('a client may send its window to the last byte, and not one more', (t) => {
  for (const step of [1000, 32_768]) {
    const { channel, seen } = open();
    let left = channel.firstWindow;
    t.equal(left, 1_000_000);
    for (; left > step; left -= step) channel.receive(Buffer.alloc(step));
    channel.receive(Buffer.alloc(left));
    t.same(seen.failed, [], 'the whole window');
    t.equal(seen.received, 1_000_000);
    channel.receive(Buffer.alloc(1));
    t.same(seen.failed, ['more data than the window allows']);
    t.equal(seen.received, 1_000_000, 'nothing of it came through');
  }
  const { channel, seen } = open();
  channel.receive(Buffer.alloc(channel.firstWindow + 1));
  t.same(seen.failed, ['more data than the window allows'], 'at once, too');
  t.end();
});

test('what was taken in may be sent again, in portions and not byte by byte', (t) => {
  const { channel, seen, adjustments } = open();
  channel.receive(Buffer.alloc(1_000_000));
  channel.consumed(1_000_000);
  t.same(adjustments(), [1_000_000]);
  for (let i = 0; i < 400_000; i += 1) {
    channel.receive(Buffer.alloc(1));
    channel.consumed(1);
  }
  t.ok(adjustments().length < 10, `${adjustments().length} messages for 400,000 of the client's`);
  channel.receive(
    Buffer.alloc(
      1_000_000 -
        400_000 +
        adjustments()
          .slice(1)
          .reduce((sum, one) => sum + one, 0),
    ),
  );
  t.same(seen.failed, [], 'what was granted is what may be sent');
  channel.receive(Buffer.alloc(1));
  t.equal(seen.failed.length, 1);
  t.end();
});

test('a process without memory to spare still takes in the largest packet, and answers no flood of single bytes by one of its own', (t) => {
  const { channel, reserve, adjustments } = open({ bytesMax: 0, ownWindow: 1000 });
  t.equal(channel.firstWindow, floors.windows);
  for (let i = 0; i < 250_000; i += 1) {
    channel.receive(Buffer.alloc(1));
    channel.consumed(1);
  }
  t.ok(adjustments().length < 20, `${adjustments().length} messages for 250,000 of the client's`);
  t.ok(reserve.totals.windows > 0 && reserve.totals.windows <= floors.windows, 'never more than its floor');
  channel.close();
  t.equal(reserve.totals.windows, 0);
  t.end();
});

test('a client that takes nothing is counted to the byte; what it takes is sent in order and given back', (t) => {
  const { channel, said, reserve, seen } = open({ window: 0 });
  const chunks = Array.from({ length: 50_000 }, (_, i) => Buffer.from([i & 255, i >> 8, 1]));
  channel.send(chunks);
  t.equal(said.length, 0);
  t.equal(reserve.totals.replies, 50_000 * (3 + 256));
  const started = performance.now();
  for (let i = 0; i < 50_000; i += 1) channel.widen(3);
  t.ok(performance.now() - started < 5000, `in portions of three bytes: ${Math.round(performance.now() - started)} ms`);
  t.same(Buffer.concat(said.map((one) => one.subarray(9))), Buffer.concat(chunks));
  t.equal(reserve.totals.replies, 0);
  channel.widen(0xffff_ffff);
  t.same(seen.failed, [], 'the largest window there is');
  channel.widen(1);
  t.same(seen.failed, ['window overflow']);
  channel.send([Buffer.alloc(10)]);
  channel.close();
  channel.close();
  channel.send([Buffer.alloc(10)]);
  t.equal(seen.closed, 1, 'a channel ends once');
  t.equal(reserve.totals.replies, 0);
  t.end();
});
