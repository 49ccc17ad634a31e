// One channel without a connection, message by message and byte by byte: what it sends, when it may send, when it
// grants more, and what it counts (RFC 4254 sections 5 and 6).
import { test } from 'tap';
import { wireUint32 } from '../../server/domain/ssh-wire.ts';
import { floors } from '../../server/edge/transport/buffer-reserve.ts';
import { number } from '../../server/edge/transport/messages/numbers.ts';
import { oneChannel } from '../support/one-channel.ts';

const hexOf = (said: readonly Buffer[]): readonly string[] => said.map((one) => one.toString('hex'));
const plain = (text: string): string => text.replace(/\s/g, '');
/** What a channel says at its end: its exit status, that no more data follows, and its CLOSE. */
const endOf = (status: string): readonly string[] =>
  [`62 00000007 0000000b 657869742d737461747573 00 ${status}`, '60 00000007', '61 00000007'].map(plain);

test('the numbers of the messages (RFC 4254 section 9)', (t) => {
  t.match(number, {
    channelOpen: 90,
    channelOpenConfirmation: 91,
    channelOpenFailure: 92,
    channelWindowAdjust: 93,
    channelData: 94,
    channelExtendedData: 95,
    channelEof: 96,
    channelClose: 97,
    channelRequest: 98,
    channelSuccess: 99,
    channelFailure: 100,
  });
  for (const [value, wanted] of [
    [0, '00000000'],
    [1, '00000001'],
    [0x01020304, '01020304'],
    [0xffff_ffff, 'ffffffff'],
  ] as const)
    t.equal(Buffer.from(wireUint32(value)).toString('hex'), wanted);
  t.end();
});

test('the first window is what is configured, at most 2 MiB, and never less than the floor', (t) => {
  const firstOf = (ownWindow: number, bytesMax?: number): number =>
    oneChannel({ ownWindow, ...(bytesMax === undefined ? {} : { bytesMax }) }).channel.firstWindow;
  t.equal(firstOf(1_000_000), 1_000_000);
  t.equal(firstOf(2_097_152), 2_097_152);
  t.equal(firstOf(2_097_153), 2_097_152);
  t.equal(firstOf(16 * 2 ** 20), 2_097_152);
  t.equal(firstOf(floors.windows - 1), floors.windows);
  t.equal(firstOf(1_000_000, 0), floors.windows, 'no memory is free');
  t.end();
});

test('data is sent to the byte, in packets that the client accepts and of 32 KiB at most', (t) => {
  const { channel, said } = oneChannel({ remoteId: 0x01020304, packetMax: 5 });
  t.same([channel.bytesIn, channel.bytesOut], [0, 0]);
  channel.send([Buffer.from('abc'), Buffer.alloc(0), Buffer.from('defgh'), Buffer.from('ij'), Buffer.from('k')]);
  const dataOf = (text: string): string =>
    plain(`5e 01020304 0000000${text.length} ${Buffer.from(text).toString('hex')}`);
  t.same(hexOf(said), [dataOf('abcde'), dataOf('fghij'), dataOf('k')]);
  t.same([channel.bytesIn, channel.bytesOut], [0, 11]);
  for (const [packetMax, wanted] of [
    [32_767, [32_767, 32_767, 4466]],
    [32_768, [32_768, 32_768, 4464]],
    [32_769, [32_768, 32_768, 4464]],
    [0xffff_ffff, [32_768, 32_768, 4464]],
  ] as const) {
    const other = oneChannel({ packetMax });
    other.channel.send([Buffer.alloc(70_000)]);
    const sizes = other.said.map((one) => one.length - 9);
    t.same(sizes, wanted, `the client accepts ${packetMax}`);
  }
  t.end();
});

test('no byte is sent beyond the window of the client, and all of it is used', (t) => {
  const { channel, said, seen, reserve } = oneChannel({ window: 3 });
  channel.send([Buffer.from('abcd'), Buffer.from('ef')]);
  t.same(hexOf(said.splice(0)), ['5e0000000700000003616263']);
  t.equal(reserve.totals.replies, 3 + 2 * 256, 'a chunk has its cost until its last byte was sent');
  channel.flush();
  t.same(said, [], 'nothing may be sent');
  channel.widen(1);
  t.same(hexOf(said.splice(0)), ['5e000000070000000164']);
  t.equal(reserve.totals.replies, 2 + 256);
  channel.widen(0);
  t.same(said, []);
  channel.widen(100);
  t.same(hexOf(said.splice(0)), ['5e00000007000000026566']);
  t.equal(reserve.totals.replies, 0);
  t.equal(channel.bytesOut, 6);
  channel.widen(0xffff_ffff - 98);
  t.same(seen.failed, [], 'the largest window there is');
  channel.widen(1);
  t.same(seen.failed, ['window overflow']);
  t.end();
});

test('nothing is sent while the connection may not send, and what waits is sent when it may', (t) => {
  const { channel, said, seen, reserve } = oneChannel({ packetMax: 4 });
  seen.isWritable = false;
  channel.send([Buffer.from('a')]);
  channel.widen(10);
  t.same(said, []);
  t.equal(channel.isBusy, true, 'bytes for the client are unsent');
  channel.end(0);
  t.same(said, [], 'nor the end, which comes behind them');
  seen.isWritable = true;
  channel.flush();
  t.same(hexOf(said), ['5e000000070000000161', ...endOf('00000000')]);
  t.equal(reserve.totals.replies, 0);
  t.equal(channel.isBusy, false);
  t.end();
});

test('an empty chunk is nothing: it takes no memory and sends no message', (t) => {
  const { channel, said, reserve } = oneChannel({ window: 0 });
  channel.send([Buffer.alloc(0), Buffer.alloc(0)]);
  t.equal(reserve.totals.replies, 0);
  channel.widen(10);
  t.same(said, []);
  t.end();
});

test('the one who sends hears when bytes have left, once for all that left together, and not otherwise', (t) => {
  const { channel } = oneChannel({ window: 2, packetMax: 1 });
  let drained = 0;
  channel.onDrain = () => (drained += 1);
  channel.flush();
  t.equal(drained, 0, 'nothing was there');
  channel.send([Buffer.from('abc')]);
  t.equal(drained, 1, 'two bytes have left, in a packet each');
  channel.flush();
  channel.send([Buffer.from('d')]);
  t.equal(drained, 1, 'the window is used up');
  channel.widen(1);
  t.equal(drained, 2);
  channel.widen(1);
  t.equal(drained, 3);
  channel.widen(1);
  t.equal(drained, 3, 'nothing is left');
  t.end();
});

test('what the client sends reaches the one who reads, is counted, and stays within the window', (t) => {
  const { channel, seen, reserve } = oneChannel({ ownWindow: 300_000 });
  channel.receive(Buffer.alloc(100_000));
  channel.receive(Buffer.alloc(200_000));
  t.same([seen.received, channel.bytesIn, channel.bytesOut], [300_000, 300_000, 0]);
  t.equal(reserve.totals.windows, 300_000);
  t.same(seen.failed, []);
  channel.receive(Buffer.alloc(1));
  t.same(seen.failed, ['more data than the window allows']);
  t.same([seen.received, channel.bytesIn], [300_000, 300_000], 'nothing of it counts');
  t.end();
});

test('more is granted in quarters of the window, or sooner when half of it is used up', (t) => {
  const quarter = oneChannel();
  quarter.channel.receive(Buffer.alloc(250_000));
  quarter.channel.consumed(249_999);
  t.same(quarter.adjustments(), []);
  quarter.channel.consumed(1);
  t.same(hexOf(quarter.said), [plain('5d 00000007 0003d090')], '250,000 bytes more');
  const half = oneChannel();
  half.channel.receive(Buffer.alloc(499_999));
  half.channel.consumed(40_000);
  t.same(half.adjustments(), [], 'more than half of the window is left');
  half.channel.receive(Buffer.alloc(1));
  half.channel.consumed(1);
  t.same(half.adjustments(), [40_001], 'half of it is left');
  t.end();
});

test('less than 32 KiB is granted only to a client that has no more than 32 KiB left', (t) => {
  const few = oneChannel();
  few.channel.receive(Buffer.alloc(900_000));
  few.channel.consumed(32_767);
  t.same(few.adjustments(), []);
  few.channel.consumed(1);
  t.same(few.adjustments(), [32_768]);
  const last = oneChannel();
  last.channel.receive(Buffer.alloc(1_000_000 - 32_769));
  last.channel.consumed(1);
  t.same(last.adjustments(), [], '32,769 bytes are left');
  last.channel.receive(Buffer.alloc(1));
  last.channel.consumed(1);
  t.same(last.adjustments(), [2], '32,768 bytes are left');
  t.end();
});

test('the window grows to what is configured as bytes are processed, and what was granted may be sent', (t) => {
  const { channel, seen, reserve, adjustments } = oneChannel({ ownWindow: 4_000_000 });
  channel.receive(Buffer.alloc(2_097_152));
  channel.consumed(1_097_152);
  t.same(adjustments(), [3_000_000], 'a million is not processed yet');
  t.equal(reserve.totals.windows, 4_000_000);
  channel.receive(Buffer.alloc(3_000_000));
  t.same(seen.failed, []);
  channel.receive(Buffer.alloc(1));
  t.equal(seen.failed.length, 1);
  t.end();
});

test('while no memory is free, nothing is granted beyond the floor, and no message says so', (t) => {
  const { channel, reserve, adjustments } = oneChannel({ ownWindow: 960_000, bytesMax: 3_072_000 });
  t.equal(channel.firstWindow, 960_000, 'all that is for windows');
  const other = reserve.account();
  t.equal(other.takeWindow(1_000_000), floors.windows);
  channel.receive(Buffer.alloc(940_000));
  channel.consumed(100_000);
  t.same(adjustments(), []);
  other.leave();
  channel.consumed(1);
  t.same(adjustments(), [100_001]);
  t.end();
});

test('what came for nobody is given back at once', (t) => {
  const { channel, said, seen, reserve, adjustments } = oneChannel({ hasInput: false });
  channel.receive(Buffer.alloc(250_000));
  t.same(adjustments(), [250_000], 'nothing was started on the channel');
  t.equal(channel.isBusy, false);
  const ending = oneChannel({ window: 0 });
  ending.channel.send([Buffer.from('a')]);
  ending.channel.end(0);
  ending.channel.receive(Buffer.alloc(250_000));
  t.equal(ending.seen.received, 0, 'its end was announced');
  t.same(ending.adjustments(), [250_000]);
  ending.channel.widen(1);
  ending.channel.receive(Buffer.alloc(1_000_000));
  t.same(ending.adjustments(), [250_000], 'after our CLOSE nothing is granted');
  t.equal(ending.reserve.totals.windows, 0);
  t.same([said.length, seen.failed, reserve.totals.windows], [1, [], 1_000_000]);
  t.end();
});

test('the end is told behind all that was sent, once, and with the status that was given first', (t) => {
  const { channel, said } = oneChannel({ window: 2 });
  channel.send([Buffer.from('abc')]);
  said.length = 0;
  channel.end(1);
  channel.end(2);
  channel.send([Buffer.from('after the end')]);
  t.same(said, [], 'a byte is left');
  channel.widen(1000);
  t.same(hexOf(said), ['5e000000070000000163', ...endOf('00000001')]);
  channel.flush();
  channel.end(3);
  t.equal(said.length, 4);
  channel.close();
  t.equal(said.length, 4, 'our CLOSE was sent already');
  t.end();
});

test('a client that closes is answered with one CLOSE; a channel that was dropped says nothing more', (t) => {
  const closed = oneChannel();
  closed.channel.close();
  closed.channel.close();
  t.same(hexOf(closed.said), ['6100000007']);
  t.same([closed.seen.closed, closed.channel.isClosed], [1, true]);
  const dropped = oneChannel({ window: 0 });
  t.equal(dropped.channel.isClosed, false);
  dropped.channel.send([Buffer.from('waiting')]);
  dropped.input.isBusy = true;
  dropped.channel.drop();
  dropped.channel.drop();
  t.same([dropped.seen.closed, dropped.channel.isClosed, dropped.channel.isBusy], [1, true, false]);
  dropped.channel.send([Buffer.from('later')]);
  dropped.channel.widen(100);
  dropped.channel.end(0);
  dropped.channel.flush();
  dropped.channel.close();
  t.same(dropped.said, []);
  t.equal(
    dropped.reserve.totals.replies,
    7 + 256,
    'what waits is counted until the channel has let go, and not what came later',
  );
  t.end();
});

test('the window of a channel that is over is given back once, whatever is processed later', (t) => {
  const { channel, said, reserve } = oneChannel();
  channel.receive(Buffer.alloc(600_000));
  channel.drop();
  t.equal(reserve.totals.windows, 0);
  channel.consumed(600_000);
  t.equal(reserve.totals.windows, 0);
  t.same(said, []);
  t.end();
});

test('a channel is busy while bytes wait or its input works', (t) => {
  const { channel, input } = oneChannel({ window: 0 });
  t.equal(channel.isBusy, false);
  input.isBusy = true;
  t.equal(channel.isBusy, true);
  input.isBusy = false;
  channel.send([Buffer.from('a')]);
  t.equal(channel.isBusy, true);
  channel.widen(1);
  t.equal(channel.isBusy, false);
  t.end();
});

test('a request is confirmed, a failure is handed on with its detail, and the end of the input reaches who reads it', (t) => {
  const { channel, said, seen } = oneChannel();
  channel.success();
  t.same(hexOf(said.splice(0)), ['6300000007']);
  channel.eof();
  t.equal(seen.ends, 1);
  t.same(said, [], 'who reads decides about the end');
  channel.fail('invalid SFTP packet', { detail: 'why' });
  t.same([seen.failed, seen.details], [['invalid SFTP packet'], [{ detail: 'why' }]]);
  const idle = oneChannel({ hasInput: false });
  idle.channel.eof();
  t.same(hexOf(idle.said), endOf('00000000'), 'nobody reads');
  t.end();
});
