// T-34: one session without a connection: what a well-formed packet may say, how long a handle is valid, and what small
// pieces cost.
import { randomBytes } from 'node:crypto';
import { test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { atRest } from '../support/scripted-warden.ts';
import { handleOf, honest, SessionBench, statusOf, textOf } from '../support/session-bench.ts';

const beyond = [2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n] as const;
const [openRead, openWrite] = [u32(1), u32(0x1a)];
const none = u32(0);
const [eof, ok, failure, badMessage, unsupported] = [1, 0, 4, 5, 8];
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('every number of 64 bits has an answer, and none ends the connection', async (t) => {
  const bench = new SessionBench(t);
  const down = handleOf(await bench.ask(fx.open, '/f', openRead, none));
  for (const value of beyond) {
    const up = handleOf(await bench.ask(fx.open, '/g', openWrite, none));
    t.equal(statusOf(await bench.ask(fx.read, down, u64(value), u32(100))), eof, `READ at ${value}: there is nothing`);
    t.equal(
      statusOf(await bench.ask(fx.write, up, u64(value), u32(1), Buffer.of(1))),
      unsupported,
      `WRITE at ${value}: too far ahead`,
    );
    t.equal(
      statusOf(await bench.ask(fx.setstat, '/f', u32(1), u64(value))),
      failure,
      `SETSTAT to ${value}: a directory`,
    );
    const after = await bench.ask(fx.fsetstat, up, u32(1), u64(value));
    t.equal(statusOf(after), failure, `FSETSTAT to ${value}: the WRITE before it was refused`);
    t.match(textOf(after), /too far ahead/);
    const announced = handleOf(await bench.ask(fx.open, '/h', openWrite, u32(1), u64(value)));
    t.equal(
      statusOf(await bench.ask(fx.fsetstat, announced, u32(1), u64(value))),
      unsupported,
      `no file has ${value} bytes`,
    );
    t.equal(statusOf(await bench.ask(fx.close, announced)), failure, 'and none is made');
    t.equal(statusOf(await bench.ask(fx.close, up)), failure);
  }
  const honest = handleOf(await bench.ask(fx.open, '/i', openWrite, none));
  t.equal(statusOf(await bench.ask(fx.write, honest, u64(0), u32(1), Buffer.of(1))), ok, 'and an honest one is taken');
  t.equal(bench.failed, undefined);
});

test('a closed handle is invalid, and its place is free', async (t) => {
  const bench = new SessionBench(t, { handlesPerSessionMax: 3 });
  const open = (): Promise<Buffer | undefined> => bench.ask(fx.opendir, '/');
  const handles = [
    handleOf(await open()),
    handleOf(await bench.ask(fx.open, '/f', openRead, none)),
    handleOf(await open()),
  ];
  t.match(textOf(await open()), /no more than 3 files/, 'one more directory');
  t.match(textOf(await bench.ask(fx.open, '/f', openRead, none)), /no more than 3 files/, 'one more file to read');
  t.match(textOf(await bench.ask(fx.open, '/f', openWrite, none)), /no more than 3 files/, 'one more file to write');
  t.notOk(bench.calls.includes('upload.open'), 'and the warden was not asked for it');
  for (const handle of handles) t.equal(statusOf(await bench.ask(fx.close, handle)), ok);
  const [directory, download] = handles;
  for (const [what, ...parts] of [
    [fx.close, download],
    [fx.read, download, u64(0), u32(1)],
    [fx.fstat, download],
    [fx.readdir, directory],
    [fx.close, directory],
  ] as const) {
    const answer = await bench.ask(what, ...(parts as Buffer[]));
    t.equal(statusOf(answer), failure, `${what} of a closed handle`);
    t.match(textOf(answer), /not open/);
  }
  for (let i = 0; i < 3; i += 1) handleOf(await open());
  t.match(textOf(await open()), /no more than 3 files/, 'as many places as before');
});

test('CLOSE waits for the READs that were sent before it', async (t) => {
  const bench = new SessionBench(t);
  let locate = (): void => {};
  bench.script = (op, params) =>
    op === 'download.locate'
      ? new Promise((_resolve, reject) => (locate = () => reject(new Error('late'))))
      : honest(op, params);
  const handle = handleOf(await bench.ask(fx.open, '/f', openRead, none));
  const read = bench.request(fx.read, handle, u64(0), u32(10));
  const close = bench.request(fx.close, handle);
  await turn();
  await turn();
  t.notOk(bench.calls.includes('download.close'), 'the file is not closed while it is read');
  locate();
  t.equal(statusOf(await bench.reply(close)), ok);
  const order = bench.replies().map((packet) => packet.readUInt32BE(1));
  t.ok(order.indexOf(read) < order.indexOf(close), 'and it is answered after them');
});

test('a download is closed by its client when its CLOSE arrived, and cut however else its session ends', async (t) => {
  const bytes = 1000;
  const stored = atRest(0, randomBytes(bytes));
  const ends: Readonly<Record<string, readonly [(bench: SessionBench, handle: Buffer) => unknown, string]>> = {
    CLOSE: [(bench, handle) => bench.ask(fx.close, handle), 'client'],
    'the end of its stream': [(bench) => bench.session.eof(), 'cut'],
    'a closed channel': [(bench) => bench.session.closed('client-closed'), 'cut'],
    'a lost connection': [(bench) => bench.session.closed('connection-lost'), 'cut'],
  };
  for (const [what, [end, by]] of Object.entries(ends)) {
    const bench = new SessionBench(t);
    const closed: unknown[] = [];
    bench.script = (op, params) => {
      if (op === 'download.close') closed.push(params);
      if (op === 'download.locate') return { extents: [{ index: 0, offset: 0, bytes }] };
      return op === 'download.grant' ? stored.answer : honest(op, params);
    };
    const handle = handleOf(await bench.ask(fx.open, '/f', openRead, none));
    // More than there is: the bytes that arrived count.
    t.equal((await bench.ask(fx.read, handle, u64(0), u32(32_768)))?.readUInt32BE(5), bytes);
    await end(bench, handle);
    await bench.session.closed('connection-lost');
    t.match(closed, [{ by, sentBytes: bytes }], what);
    t.equal(closed.length, 1, 'said once');
  }
});

test('attributes of an open upload: what is not sent stays as it was', async (t) => {
  const bench = new SessionBench(t);
  const closed: Readonly<Record<string, unknown>>[] = [];
  bench.script = (op, params) => {
    if (op === 'upload.close') closed.push(params);
    return honest(op, params);
  };
  const times = (at: number): readonly Buffer[] => [u32(8), u32(at), u32(at)];
  const modes = [u32(4), u32(0o600)];
  const setting = async (...all: readonly (readonly Buffer[])[]): Promise<unknown> => {
    const [first = [none], ...later] = all;
    const handle = handleOf(await bench.ask(fx.open, '/f', openWrite, ...first));
    for (const one of later) t.equal(statusOf(await bench.ask(fx.fsetstat, handle, ...one)), ok);
    const seen = await bench.ask(fx.fstat, handle);
    t.equal(statusOf(await bench.ask(fx.close, handle)), ok);
    const said = closed.pop()?.modifiedAt;
    if (said !== undefined) t.equal(seen?.readUInt32BE(5 + 4 + 8 + 8 + 4 + 4), said, 'and its writer sees it');
    return said;
  };
  t.equal(await setting([none]), undefined, 'none was said');
  t.equal(await setting([none], times(7)), 7);
  t.equal(await setting([none], times(7), modes), 7, 'modes after times, as scp -p and WinSCP send them');
  t.equal(await setting(times(7), modes), 7, 'times at the opening');
  t.equal(await setting(times(7), times(8), modes, times(0)), 0, 'the last one counts');
});

test('a packet of a quarter of a million pieces costs what its bytes cost', async (t) => {
  const bench = new SessionBench(t);
  const packet = sftpPacket(fx.write, u32(7), Buffer.from('nohandle'), u64(0), u32(261_000), Buffer.alloc(261_000));
  const socket = Buffer.alloc(65_536);
  const started = performance.now();
  for (let at = 0; at < packet.length; at += 1) {
    // As they come out of a socket: each is a slice of something large, which may change afterwards.
    const place = at % socket.length;
    socket[place] = packet[at] ?? 0;
    bench.send(socket.subarray(place, place + 1));
    socket[place] = 0xee;
  }
  const tookMs = performance.now() - started;
  t.equal(statusOf(await bench.reply(7)), badMessage, 'it came out whole: only its handle is unknown');
  t.comment(`${packet.length} pieces in ${Math.round(tookMs)} ms`);
  t.ok(tookMs < 8000, 'and the process went on');
  t.equal(bench.failed, undefined);
});

test('small pieces after something awaited are joined, counted until they are consumed, then consumed in portions', async (t) => {
  const bench = new SessionBench(t);
  // There is no room for replies: nothing more is consumed.
  bench.buffers.addReplies(2 ** 30);
  const request = sftpPacket(fx.symlink, u32(5), 'a', 'b');
  const consumed = bench.consumedBytes;
  const started = performance.now();
  const pieces = 20_000;
  for (let i = 0; i < pieces; i += 1)
    for (const half of [request.subarray(0, 9), request.subarray(9)]) bench.send(half);
  t.equal(bench.consumedBytes, consumed, 'the client may send no more for it');
  t.ok(bench.session.isBusy);
  bench.buffers.addReplies(-(2 ** 30));
  const before = bench.sentBytes;
  bench.output.onDrain?.();
  const inOneTurn = (bench.sentBytes - before) / 60;
  t.ok(
    bench.sentBytes > before && inOneTurn < 2000,
    `others come in between (${Math.round(inOneTurn)} answers in one turn)`,
  );
  for (let turns = 0; bench.session.isBusy && turns < 10_000; turns += 1) await turn();
  t.equal(bench.replies().length, pieces, 'every one is answered');
  t.equal(bench.consumedBytes, consumed + pieces * request.length, 'and the window is whole again');
  t.ok(performance.now() - started < 5000);
});

test('what arrives while others have their turn is kept as it was', async (t) => {
  const bench = new SessionBench(t);
  const request = sftpPacket(fx.symlink, u32(5), 'a', 'b');
  bench.send(Buffer.concat(Array.from({ length: 300 }, () => request)));
  t.ok(bench.replies().length < 300, 'it rests');
  const socket = Buffer.from(request);
  bench.send(socket);
  socket.fill(0xff);
  for (let turns = 0; bench.session.isBusy && turns < 100; turns += 1) await turn();
  t.equal(bench.replies().length, 301);
  t.equal(bench.failed, undefined);
});

test('a CLOSE, a removal, an OPEN that have not begun when their channel is lost are not done, whole as the file may be', async (t) => {
  const bench = new SessionBench(t);
  const up = handleOf(await bench.ask(fx.open, '/g', openWrite, none));
  const awaited = Promise.withResolvers<void>();
  bench.script = (op, params) =>
    op === 'tree.stat' ? awaited.promise.then(() => honest(op, params)) : honest(op, params);
  bench.request(fx.write, up, u64(0), u32(1), Buffer.of(1));
  bench.request(fx.stat, '/slow');
  bench.request(fx.close, up);
  bench.request(fx.remove, '/h');
  bench.request(fx.mkdir, '/d', none);
  bench.request(fx.rename, '/h', '/i');
  bench.request(fx.open, '/k', openWrite, none);
  await turn();
  const asked = bench.calls.length;
  const over = bench.session.closed('connection-lost');
  awaited.resolve();
  await over;
  for (let i = 0; i < 10; i += 1) await turn();
  const after = bench.calls.slice(asked).filter((op) => op !== 'flow.permit');
  t.same(after, ['upload.interrupt'], 'the upload is let go, and nothing else is asked');
});

test('what a lost channel leaves unprocessed is not carried out: no file results of which a size was announced in vain', async (t) => {
  const bench = new SessionBench(t);
  const up = handleOf(await bench.ask(fx.open, '/g', openWrite, none));
  let answer = (): void => {};
  const awaited = new Promise<void>((resolve) => {
    answer = resolve;
  });
  bench.script = (op, params) => (op === 'tree.stat' ? awaited.then(() => honest(op, params)) : honest(op, params));
  bench.request(fx.stat, '/slow');
  bench.request(fx.fsetstat, up, u32(1), u64(1_000_000));
  bench.request(fx.write, up, u64(0), u32(1), Buffer.of(1));
  bench.request(fx.close, up);
  await turn();
  const over = bench.session.closed('connection-lost');
  answer();
  await over;
  t.notOk(bench.calls.includes('upload.close'), 'the CLOSE behind it is not done either');
  t.ok(bench.calls.includes('upload.interrupt'), 'the upload is let go');
});
