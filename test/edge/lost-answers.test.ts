// T-34: every answer of the warden that an open file, a directory or a session needs: refused, lost, or late. The
// client is told, no promise is left without an owner (tap fails the file otherwise), and the session continues.
import { test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { handleOf, honest, lost, refused, type Script, SessionBench, statusOf } from '../support/session-bench.ts';

const none = u32(0);
const soon = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a client does with a session: a listing, a download, names. */
async function use(bench: SessionBench): Promise<readonly (number | undefined)[]> {
  const statuses: (number | undefined)[] = [];
  const ask = async (...given: Parameters<SessionBench['ask']>): Promise<Buffer | undefined> => {
    const answer = await bench.ask(...given);
    if (answer === undefined) throw new Error(`no answer to ${given[0]}: ${bench.failed}`);
    if (answer[0] === 101) statuses.push(statusOf(answer));
    return answer;
  };
  const directory = await ask(fx.opendir, '/');
  if (directory?.[0] === 102) {
    await ask(fx.readdir, handleOf(directory));
    await ask(fx.fstat, handleOf(directory));
    await ask(fx.close, handleOf(directory));
  }
  const file = await ask(fx.open, '/f', u32(1), none);
  if (file?.[0] === 102) {
    const handle = handleOf(file);
    for (const at of [0, 100, 900]) bench.request(fx.read, handle, u64(at), u32(50));
    await ask(fx.read, handle, u64(200), u32(100));
    await ask(fx.close, handle);
  }
  await ask(fx.stat, '/f');
  await ask(fx.extended, 'statvfs@openssh.com', '/f');
  await ask(fx.setstat, '/f', u32(8), u32(1), u32(1));
  await ask(fx.remove, '/f');
  await ask(fx.mkdir, '/d', none);
  await ask(fx.rmdir, '/d');
  await ask(fx.rename, '/f', '/g');
  await ask(fx.extended, 'posix-rename@openssh.com', '/f', '/g');
  return statuses;
}

const extent = { index: 0, offset: 0, bytes: 1000 };
const granted = {
  index: 0,
  objectId: 'nowhere',
  bytes: 1000,
  key: Buffer.alloc(32, 1).toString('base64'),
  context: Buffer.alloc(32, 2).toString('base64'),
};
/** Everything is found and granted. The object that the store should read does not exist, which is one more fault. */
const giving: Script = (op, params) =>
  op === 'download.locate'
    ? { extents: [extent] }
    : op === 'download.grant'
      ? granted
      : op === 'tree.stat'
        ? { ...stat }
        : op === 'tree.space'
          ? { capBytes: 1, freeBytes: 1, capFiles: 1, freeFiles: 1, isWritable: true }
          : honest(op, params);
const stat = { kind: 'directory', size: 1000, permissions: 0o750, modifiedAt: 1 };
const operations = [
  'tree.stat',
  'tree.space',
  'tree.list',
  'tree.set-times',
  'tree.remove',
  'tree.make-directory',
  'tree.remove-directory',
  'tree.rename',
  'download.open',
  'download.locate',
  'download.grant',
  'download.close',
  'flow.permit',
];
const faults: Readonly<Record<string, (answer: () => unknown) => unknown>> = {
  refused: () => refused(),
  lost: () => lost(),
  'a defect': () => {
    throw new TypeError('x is not a function');
  },
  late: async (answer) => {
    await soon();
    return answer();
  },
  'late and refused': async () => {
    await soon();
    return refused();
  },
};

test('twin: without a fault every request is answered', async (t) => {
  const bench = new SessionBench(t);
  bench.script = giving;
  await use(bench);
  t.same(
    operations.filter((op) => !bench.calls.includes(op) && op !== 'flow.permit' && op !== 'tree.set-times'),
    [],
    'each is asked for',
  );
});

for (const [fault, inject] of Object.entries(faults))
  test(`each answer in turn, ${fault}: the client is told, and the session continues`, async (t) => {
    for (const op of operations) {
      // The edge waits for a late key for as long as the record may be late; here that time is short.
      const bench = new SessionBench(t, { witnessStopMs: 1000 });
      bench.script = (asked, params) => (asked === op ? inject(() => giving(asked, params)) : giving(asked, params));
      const statuses = await use(bench);
      if (fault !== 'late' && bench.calls.includes(op))
        t.ok(
          statuses.some((status) => status !== 0),
          `${op}: the client is told`,
        );
      t.equal(bench.failed, undefined, `${op}: the session goes on`);
      bench.script = giving;
      t.equal((await bench.ask(fx.realpath, '.'))?.[0], fx.name, 'and serves');
      await bench.session.closed('connection-lost');
      await soon(1);
    }
  });

test('the connection is lost while each answer is awaited', async (t) => {
  for (const op of operations) {
    const bench = new SessionBench(t);
    const waiting: (() => void)[] = [];
    bench.script = (asked, params) =>
      asked === op
        ? new Promise((_resolve, reject) => waiting.push(() => reject(new Error('gone'))))
        : giving(asked, params);
    const used = use(bench).catch(() => {});
    for (let i = 0; i < 200 && waiting.length === 0; i += 1) await soon(1);
    const closed = bench.session.closed('connection-lost');
    for (let i = 0; i < 50; i += 1) {
      for (const wake of waiting.splice(0)) wake();
      await soon(1);
    }
    await closed;
    bench.failed = 'over';
    await used;
    t.pass(op);
  }
});

test('a request without an end, a name or a type ends at most its own connection', async (t) => {
  for (const bytes of [
    Buffer.concat([u32(1), Buffer.of(fx.read)]),
    sftpPacket(fx.read, u32(1)),
    sftpPacket(fx.read, u32(1), u32(0xffff_ffff)),
    sftpPacket(fx.extended, u32(1), u32(0xffff_ffff)),
    sftpPacket(fx.open, u32(1), u32(0xffff_ffff)),
    sftpPacket(fx.write, u32(1), u32(0xffff_ffff)),
    sftpPacket(0, u32(1)),
    sftpPacket(255, u32(1)),
    u32(0),
    u32(0xffff_ffff),
  ]) {
    const bench = new SessionBench(t);
    bench.send(bytes);
    await soon(1);
    const answered = bench.replies().length === 1;
    t.ok(
      answered !== (bench.failed !== undefined),
      `${bytes.toString('hex').slice(0, 30)}: answered, or ended in words (${bench.failed})`,
    );
    await bench.session.closed('connection-lost');
  }
});
