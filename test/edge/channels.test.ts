// The channels of one connection: what a closed channel holds is counted until it has released it, and the connection
// waits for all of them, whatever their numbers were.
import { test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import type { SftpOutput } from '../../server/edge/seam/sftp-seam.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import { Channels } from '../../server/edge/transport/channels.ts';
import { channelOpenFailure } from '../../server/edge/transport/messages/channel-open-failure.ts';
import { number } from '../../server/edge/transport/messages/numbers.ts';
import { message, u32 } from '../support/raw-client.ts';

/** Channels whose inputs release what they hold when the test says so. */
function connection(channelsPerConnectionMax = 1, bytesMax = 512 * 2 ** 20) {
  const reserve = new BufferReserve(bytesMax);
  const seen = { isWritable: true };
  const inputs: {
    readonly output: SftpOutput;
    readonly over: PromiseWithResolvers<void>;
    reason: string | undefined;
  }[] = [];
  const said: Buffer[] = [];
  const failed: string[] = [];
  const start = (output: SftpOutput) => {
    const one = { output, over: Promise.withResolvers<void>(), reason: undefined as string | undefined };
    inputs.push(one);
    return {
      isBusy: false,
      data: () => {},
      eof: () => {},
      closed: (reason: string) => {
        one.reason ??= reason;
        return one.over.promise;
      },
    };
  };
  const channels = new Channels(
    {
      send: (parts) => said.push(Buffer.concat(parts as Uint8Array[])),
      refuse: (parts) => said.push(Buffer.concat(parts as Uint8Array[])),
      maySendData: () => seen.isWritable,
      hold: () => {},
      fail: (reason) => failed.push(reason),
      startSftp: start,
      startConsole: start,
    },
    { ...defaultLimits, channelsPerConnectionMax },
    reserve,
  );
  const take = (payload: Buffer): boolean => channels.take(payload[0] ?? 0, payload);
  const request = (type: string, wantsReply: number, ...more: readonly string[]): void =>
    void take(message(number.channelRequest, u32(0), type, Uint8Array.of(wantsReply), ...more));
  /** Opens a channel and starts SFTP on the one with this id. */
  const open = (id = 0): void => {
    take(message(number.channelOpen, 'session', u32(7), u32(1_000_000), u32(32_768)));
    take(message(number.channelRequest, u32(id), 'subsystem', Uint8Array.of(1), 'sftp'));
  };
  const close = (id = 0): void => void take(message(number.channelClose, u32(id)));
  return { channels, reserve, inputs, said, failed, seen, take, request, open, close };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what a closed channel holds is counted until it is released, and the next channel of its number begins with that', async (t) => {
  const { reserve, inputs, open, close } = connection();
  open();
  inputs[0]?.output.buffers.addReplies(1_000_000);
  inputs[0]?.output.buffers.addUploads(2_000_000);
  close();
  await turn();
  t.match(reserve.totals, { replies: 1_000_000, uploads: 2_000_000, windows: 0 }, 'its window is nobody’s any more');
  open();
  t.equal(inputs.length, 2, 'another one has its number');
  inputs[0]?.output.buffers.addUploads(-500_000);
  t.equal(reserve.totals.uploads, 1_500_000, 'what it gives back is given back');
  inputs[0]?.over.resolve();
  await turn();
  t.match(reserve.totals, { replies: 0, uploads: 0 });
  inputs[0]?.output.buffers.addUploads(-500_000);
  t.equal(reserve.totals.uploads, 0, 'afterwards nothing of it counts');
});

test('what moved on all channels of a connection is told together, each way by itself, whatever number they had', async (t) => {
  const { channels, inputs, open, close, take } = connection();
  let [bytesIn, bytesOut] = [0, 0];
  for (const [sent, answered] of [
    [100, 7],
    [20_000, 3],
    [0, 30_000],
    [5, 0],
  ] as const) {
    open();
    const input = inputs.at(-1);
    take(message(number.channelData, u32(0), u32(sent), Buffer.alloc(sent)));
    input?.output.consumed(sent);
    input?.output.send([Buffer.alloc(answered)]);
    [bytesIn, bytesOut] = [bytesIn + sent, bytesOut + answered];
    t.same(channels.transferred, { bytesIn, bytesOut }, 'while it is open');
    close();
    t.same(channels.transferred, { bytesIn, bytesOut }, 'and once it is closed');
    input?.over.resolve();
    await turn();
  }
});

test('the end of a connection waits for every channel that releases something, not only for the newest of each number', async (t) => {
  const { channels, inputs, open, close } = connection();
  for (let i = 0; i < 3; i += 1) {
    open();
    if (i < 2) close();
  }
  let isOver = false;
  const over = channels.drop().then(() => (isOver = true));
  t.same(
    inputs.map((one) => one.reason),
    ['client-closed', 'client-closed', 'connection-lost'],
    'each is told once, and why',
  );
  for (const at of [2, 1, 0]) {
    await turn();
    t.equal(isOver, false, `channel ${at} still lets go`);
    inputs[at]?.over.resolve();
  }
  await over;
  t.ok(isOver);
});

test('a channel is started once: every later request to start is refused, and what runs continues', async (t) => {
  const { channels, inputs, said, failed, request, open } = connection();
  const answers = (): readonly number[] => said.splice(0).map((one) => one[0] ?? 0);
  open();
  t.same(answers(), [number.channelOpenConfirmation, number.channelSuccess]);
  for (const wants of [1, 0]) {
    for (const [type, ...more] of [['subsystem', 'sftp'], ['shell'], ['exec', 'help']] as const) {
      request(type, wants, ...more);
      t.same(
        answers(),
        wants === 1 ? [number.channelFailure] : [],
        `${type}, ${wants === 1 ? 'with' : 'without'} a wish for a reply`,
      );
    }
  }
  t.equal(inputs.length, 1, 'nothing else was started');
  const over = channels.drop();
  t.equal(inputs[0]?.reason, 'connection-lost', 'the one that runs hears of the end');
  inputs[0]?.over.resolve();
  await over;
  t.same(failed, []);
});

test('a channel that cannot release what it holds ends its connection, and does not keep it open', async (t) => {
  const { channels, inputs, failed, open, close } = connection();
  open();
  close();
  inputs[0]?.over.reject(new Error('a defect'));
  await turn();
  await turn();
  t.same(failed, ['internal error']);
  await channels.drop();
});

const refusals = (said: readonly Buffer[]): readonly { readonly reason: number; readonly description: string }[] =>
  said.filter((one) => one[0] === number.channelOpenFailure).map((one) => channelOpenFailure.read(one));

test('ten channels at once, and one more when one is closed; the refusal says how many', async (t) => {
  const { inputs, said, failed, open, close } = connection(10);
  for (let i = 0; i < 10; i += 1) open(i);
  t.same(refusals(said), []);
  open();
  t.match(refusals(said), [{ reason: 4, description: /a connection may have 10 at once/ }]);
  close(3);
  inputs[3]?.over.resolve();
  open(3);
  t.equal(inputs.length, 11, 'in the place of the one that was closed');
  t.equal(refusals(said).length, 1);
  t.same(failed, []);
});

test('a connection that is kept may open any number of channels, and a flood of them ends it', async (t) => {
  const { inputs, failed, said, open, close } = connection(2);
  for (let i = 0; i < 1000; i += 1) {
    open();
    close();
    inputs.at(-1)?.over.resolve();
    await turn();
  }
  t.equal(inputs.length, 1000, 'as many as may be opened in a short time');
  t.same([failed, refusals(said)], [[], []]);
  open();
  t.same(failed, ['too many channels in a short time']);
  t.equal(inputs.length, 1000);
});

test('channels that are closed and still release something are bounded, too', async (t) => {
  const { inputs, said, open, close } = connection(2);
  for (let i = 0; i < 17; i += 1) {
    open();
    close();
  }
  t.equal(inputs.length, 16);
  t.match(refusals(said), [{ reason: 4, description: /not done yet; try again/ }]);
  inputs[0]?.over.resolve();
  await turn();
  open();
  t.equal(inputs.length, 17);
});

test('a first channel always has memory; those beside it have a part of it for all connections together', async (t) => {
  // Twice what the floors of two channels are.
  const { channels, inputs, said, open } = connection(10, 4 * 2 * 1024 * 1024 + 4 * 64 * 1024);
  for (let i = 0; i < 4; i += 1) open(i);
  t.equal(inputs.length, 3, 'the first, and two beside it');
  t.match(refusals(said), [{ reason: 4, description: /busy/ }]);
  const over = channels.drop();
  for (const { over: released } of inputs) released.resolve();
  await over;
  await turn();
  const reserve = new BufferReserve(4 * 2 * 1024 * 1024 + 4 * 64 * 1024);
  const [one, two] = [reserve.furtherAccount(), reserve.furtherAccount()];
  t.ok(one && two);
  t.equal(reserve.furtherAccount(), undefined);
  one?.close();
  one?.close();
  t.ok(reserve.furtherAccount(), 'what was given back is there again');
  t.equal(reserve.furtherAccount(), undefined, 'once');
});

test('no channel of a connection waits for another one that always has something to send', (t) => {
  const { channels, inputs, said, seen, open } = connection(2);
  open(0);
  open(1);
  seen.isWritable = false;
  for (const [i, { output }] of inputs.entries()) output.send([Buffer.alloc(100_000, i + 1)]);
  said.length = 0;
  const served: number[] = [];
  for (let i = 0; i < 2; i += 1) {
    seen.isWritable = true;
    const { push } = said;
    // The socket is full after each packet.
    said.push = (...all) => {
      seen.isWritable = false;
      return push.apply(said, all);
    };
    channels.flush();
    said.push = push;
    served.push(said.at(-1)?.[9] ?? 0);
  }
  t.same(served.sort(), [1, 2], 'each has had its turn');
  const sums = channels.transferred.bytesOut;
  t.equal(sums, 2 * 32_768);
  seen.isWritable = true;
  channels.flush();
  t.equal(channels.transferred.bytesOut, 200_000, 'and nothing is lost');
  t.end();
});

test('a connection that is lost was closed by its client only if all its channels were', async (t) => {
  const { channels, inputs, open, close } = connection(2);
  t.equal(channels.hasClientClosed, false, 'without channels nobody knows');
  open(0);
  open(1);
  close(0);
  t.equal(channels.hasClientClosed, false, 'one is open');
  const over = channels.drop();
  t.same(
    inputs.map((one) => one.reason),
    ['client-closed', 'connection-lost'],
  );
  for (const { over: released } of inputs) released.resolve();
  await over;
  const other = connection(2);
  other.open(0);
  other.open(1);
  other.close(0);
  other.close(1);
  t.equal(other.channels.hasClientClosed, true);
  for (const { over: released } of other.inputs) released.resolve();
});
