// One channel and very many messages: the receive window is enforced to the byte, the client's window is respected,
// what waits is counted, and a flood of small messages is not answered with another one.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import { floors } from '../../server/edge/transport/buffer-reserve.ts';
import { oneChannel } from '../support/one-channel.ts';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

test('a client may send its window to the last byte, and not one more', (t) => {
  for (const step of [1000, 32_768]) {
    const { channel, seen } = oneChannel();
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
  const { channel, seen } = oneChannel();
  channel.receive(Buffer.alloc(channel.firstWindow + 1));
  t.same(seen.failed, ['more data than the window allows'], 'at once, too');
  t.end();
});

test('what was consumed may be sent again, in portions and not byte by byte', (t) => {
  const { channel, seen, reserve, adjustments } = oneChannel();
  channel.receive(Buffer.alloc(1_000_000));
  t.equal(reserve.totals.windows, 1_000_000, 'what came is counted until it is taken in');
  channel.consumed(1_000_000);
  t.same(adjustments(), [1_000_000]);
  t.equal(reserve.totals.windows, 1_000_000, 'then what may be sent again is, and not both');
  for (let i = 0; i < 100_000; i += 1) {
    channel.receive(Buffer.alloc(1));
    channel.consumed(1);
  }
  t.ok(adjustments().length < 10, `${adjustments().length} messages for 100,000 of the client's`);
  channel.receive(
    Buffer.alloc(
      1_000_000 -
        100_000 +
        adjustments()
          .slice(1)
          .reduce((sum, one) => sum + one, 0),
    ),
  );
  t.same(seen.failed, [], 'what was granted is what may be sent');
  channel.receive(Buffer.alloc(1));
  t.equal(seen.failed.length, 1);
  t.ok(reserve.totals.windows <= 1_000_000, 'never more than its window, however often it was filled');
  t.end();
});

test('a process short of memory still accepts the largest packet, and answers a flood of single bytes without one of its own', (t) => {
  // A window of which the floor is all, and one of which the process can give no more than the floor.
  for (const ownWindow of [1000, 1_000_000]) {
    const { channel, seen, reserve, adjustments } = oneChannel({ bytesMax: 0, ownWindow });
    t.equal(channel.firstWindow, floors.windows);
    for (let i = 0; i < 100_000; i += 1) {
      channel.receive(Buffer.alloc(1));
      channel.consumed(1);
    }
    t.ok(adjustments().length < 20, `${adjustments().length} messages for 100,000 of the client's`);
    t.ok(reserve.totals.windows > 0 && reserve.totals.windows <= floors.windows, 'never more than its floor');
    const granted = adjustments().reduce((sum, one) => sum + one, floors.windows);
    channel.receive(Buffer.alloc(granted - 100_000));
    t.same(seen.failed, [], 'what was granted may be sent');
    channel.close();
    t.equal(reserve.totals.windows, 0);
  }
  t.end();
});

test('what waits for a client that accepts nothing is counted to the byte; what it accepts is sent in order and given back', (t) => {
  const { channel, said, reserve, seen } = oneChannel({ window: 0 });
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

test('a channel that is over keeps nothing of what it had to send', async (t) => {
  const { channel } = oneChannel({ window: 0 });
  const send = (): WeakRef<Buffer> => {
    const chunk = Buffer.alloc(100_000);
    channel.send([chunk]);
    return new WeakRef(chunk);
  };
  const sent = send();
  const isKept = async (): Promise<boolean> => {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    return sent.deref() !== undefined;
  };
  t.equal(await isKept(), true, 'it waits');
  channel.drop();
  t.equal(await isKept(), false);
  t.equal(channel.isClosed, true);
});
