// T-31, T-34: whoever waits for room in a session's memory is woken when there is some, also an upload that keeps
// nothing there itself. When the session is over, nothing waits any more: the warden is told what its uploads
// acknowledged, whatever is under way beside them.
import { randomBytes } from 'node:crypto';
import { test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import type { Teardown } from '../support/database.ts';
import { u32, u64 } from '../support/raw-client.ts';
import { atRest } from '../support/scripted-warden.ts';
import { handleOf, SessionBench, statusOf } from '../support/session-bench.ts';
import { storeDirectory, testTicket } from '../support/store.ts';

const MiB = 2 ** 20;
const openWrite = u32(0x1a);
/** Opened without truncation: the existing bytes stay. */
const openToContinue = u32(0x0a);
const none = u32(0);
const ok = 0;
const piece = randomBytes(250_000);
/** Three of these are more than the minimum of a channel, which is all that it gets while others fill the process. */
const piecesUntilFull = 3;
const base = randomBytes(40_000);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Told = { readonly op: string; readonly upload: string; readonly bytes: number };

/**
 * A session in a full process, and a warden that gives no permit before `permit()`: until then, what is on its way
 * stays there.
 */
async function world(t: Teardown, limits: Readonly<Record<string, number>> = {}) {
  const directory = await storeDirectory(t);
  const bench = new SessionBench(t, limits, directory);
  bench.reserve.account().addUploads(200 * MiB);
  const others = bench.reserve.totals.uploads;
  const permitted = Promise.withResolvers<object>();
  const slow = Promise.withResolvers<object>();
  const permit = (): void => permitted.resolve({ waitMs: 0, bytes: 2 ** 40 });
  const told: Told[] = [];
  let opened = 0;
  const fresh = (): object => {
    const objectId = randomBytes(16).toString('hex');
    const [key, context] = [randomBytes(32), randomBytes(40)].map((one) => one.toString('base64'));
    return { index: 0, objectId, key, context, ticket: testTicket(objectId).toString('base64') };
  };
  bench.script = (op, params) => {
    switch (op) {
      case 'tree.stat':
        return slow.promise;
      case 'flow.permit':
        return permitted.promise;
      case 'upload.open':
        opened += 1;
        return {
          upload: `u${opened}`,
          customer: 'c',
          storedBytes: 0,
          firstExtent: fresh(),
          ...(String(params.path).endsWith('base') ? { baseBytes: base.length } : {}),
        };
      case 'upload.begin-extent':
        return fresh();
      case 'upload.base-extent':
        return { ...atRest(0, base).answer, start: 0 };
      case 'upload.interrupt':
      case 'upload.close': {
        const extent = params.lastExtent as { readonly bytes: number } | undefined;
        told.push({ op, upload: String(params.upload), bytes: extent?.bytes ?? 0 });
        return { storedBytes: extent?.bytes ?? 0 };
      }
      default:
        return {};
    }
  };
  // However a test ends, its warden has answered then.
  t.teardown(() => {
    slow.resolve({ kind: 'directory', size: 0, permissions: 0o750, modifiedAt: 1 });
    permit();
  });
  return {
    bench,
    told,
    permit,
    endSlow: () => slow.resolve({ kind: 'directory', size: 0, permissions: 0o750, modifiedAt: 1 }),
    open: async (name: string, flags = openWrite) => handleOf(await bench.ask(fx.open, name, flags, none)),
    write: (handle: Buffer, at: number, bytes: Buffer) =>
      bench.request(fx.write, handle, u64(at), u32(bytes.length), bytes),
    fill: (handle: Buffer) =>
      Array.from({ length: piecesUntilFull }, (_, nth) =>
        bench.request(fx.write, handle, u64(nth * piece.length), u32(piece.length), piece),
      ),
    /** Of this channel alone. */
    kept: () => bench.reserve.totals.uploads - others,
  };
}
const within = <T>(work: Promise<T>, ms = 10_000): Promise<T | 'nothing'> =>
  Promise.race([work, new Promise<'nothing'>((resolve) => setTimeout(() => resolve('nothing'), ms).unref())]);

test('a WRITE that waits while another file fills the session is accepted when there is room', async (t) => {
  const { bench, told, permit, endSlow, open, write, fill } = await world(t);
  const [large, small] = [await open('/large'), await open('/small')];
  bench.request(fx.stat, '/slow');
  const size = bench.request(fx.fsetstat, small, u32(1), u64(5));
  const first = write(small, 0, Buffer.from('hello'));
  fill(large);
  endSlow();
  t.equal(statusOf(await bench.reply(size)), ok);
  await turn();
  t.equal(await bench.reply(first, 20), undefined, 'there is no room yet');
  permit();
  t.equal(statusOf(await bench.reply(first)), ok);
  t.equal(statusOf(await bench.ask(fx.close, small)), ok);
  t.equal(statusOf(await bench.ask(fx.close, large)), ok);
  t.same(
    told.map(({ op, bytes }) => [op, bytes]),
    [
      ['upload.close', 5],
      ['upload.close', piecesUntilFull * piece.length],
    ],
  );
});

test('a file is continued while another one fills the session: the existing bytes are taken over when there is room', async (t) => {
  const { bench, told, permit, endSlow, open, write, fill } = await world(t);
  const [large, grown] = [await open('/large'), await open('/base', openToContinue)];
  const full = Promise.withResolvers<void>();
  const { script } = bench;
  bench.script = async (op, params) => {
    if (op === 'upload.base-extent') await full.promise;
    return script(op, params);
  };
  // The session accepts nothing more of its stream while the beginning of the other file is taken over.
  bench.request(fx.stat, '/slow');
  const size = bench.request(fx.fsetstat, large, u32(1), u64(0));
  fill(large);
  write(grown, base.length, Buffer.from('more'));
  endSlow();
  t.equal(statusOf(await bench.reply(size)), ok);
  await turn();
  full.resolve();
  // It reads the existing bytes, and finds no room for them.
  await new Promise((resolve) => setTimeout(resolve, 100));
  permit();
  t.equal(statusOf(await bench.ask(fx.close, grown)), ok);
  t.same(told, [{ op: 'upload.close', upload: 'u2', bytes: base.length + 4 }]);
});

for (const [what, at, bytes] of [
  ['ahead of its place', 10, Buffer.of(1)],
  ['of nothing', 0, Buffer.alloc(0)],
] as const)
  test(`a WRITE ${what} to a fresh file, while another one fills the session: the session goes on when there is room`, async (t) => {
    const { bench, permit, endSlow, open, write, fill } = await world(t);
    const [large, fresh] = [await open('/large'), await open('/fresh')];
    // It waits, so the session is full without being held back.
    bench.request(fx.stat, '/slow');
    const size = bench.request(fx.fsetstat, large, u32(1), u64(0));
    fill(large);
    endSlow();
    t.equal(statusOf(await bench.reply(size)), ok);
    await turn();
    write(fresh, at, bytes);
    const behind = bench.request(fx.fstat, fresh);
    permit();
    t.ok(await bench.reply(behind), 'what was sent behind it is answered');
  });

test('a session ends in which a WRITE waits for room: every upload is interrupted with what it acknowledged', async (t) => {
  const { bench, told, permit, endSlow, open, write, fill, kept } = await world(t);
  const [large, small, third] = [await open('/large'), await open('/small'), await open('/third')];
  write(third, 0, Buffer.from('acknowledged'));
  bench.request(fx.stat, '/slow');
  const size = bench.request(fx.fsetstat, small, u32(1), u64(5));
  const first = write(small, 0, Buffer.from('hello'));
  const pieces = fill(large);
  endSlow();
  t.equal(statusOf(await bench.reply(size)), ok);
  await turn();
  const taken = bench.replies().filter((packet) => pieces.includes(packet.readUInt32BE(1)) && statusOf(packet) === ok);
  t.ok(taken.length >= 2, 'enough to fill the session');
  const closed = bench.session.closed('connection-lost');
  permit();
  t.not(await within(closed), 'nothing', 'it ends');
  t.equal(await bench.reply(first, 0), undefined, 'nobody was told that the WRITE was taken');
  t.same(
    new Map(told.map(({ upload, bytes }) => [upload, bytes])),
    new Map([
      ['u1', taken.length * piece.length],
      ['u2', 0],
      ['u3', 12],
    ]),
  );
  t.ok(told.every(({ op }) => op === 'upload.interrupt'));
  t.equal(kept(), 0, 'nothing is left in the account');
});

test('a session ends in which something does not end: uploads are interrupted at once, and later the session is over', async (t) => {
  const { bench, told, permit, open, write, kept } = await world(t, { wardenRetryMs: 100 });
  permit();
  const file = await open('/f');
  const written = write(file, 0, Buffer.from('acknowledged'));
  t.equal(statusOf(await bench.reply(written)), ok);
  bench.request(fx.stat, '/slow');
  const closed = bench.session.closed('connection-lost');
  for (const end = Date.now() + 10_000; told.length === 0 && Date.now() < end; ) await turn();
  t.same(told, [{ op: 'upload.interrupt', upload: 'u1', bytes: 12 }]);
  t.not(await within(closed), 'nothing', 'it ends');
  t.equal(kept(), 0);
});

test('a file whose OPEN was under way when its session ended is interrupted as well', async (t) => {
  const { bench, told, open } = await world(t);
  await open('/f');
  const late = Promise.withResolvers<void>();
  const { script } = bench;
  bench.script = async (op, params) => {
    if (op === 'upload.open') await late.promise;
    return script(op, params);
  };
  bench.request(fx.open, '/g', openWrite, none);
  const closed = bench.session.closed('connection-lost');
  await turn();
  late.resolve();
  t.not(await within(closed), 'nothing');
  t.same(told.map(({ upload }) => upload).sort(), ['u1', 'u2']);
});
