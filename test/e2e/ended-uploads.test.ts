// T-33: a session is ended in the middle of a fast file, with calls under way. What its client was told to be accepted
// is stored, whoever ended the session.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const piece = randomBytes(256 * 1024);
const writers = 8;
const rounds = 3;
type Listed = { readonly files: readonly { readonly path: string; readonly size: number }[] };

test('an operator ends sessions in the middle of fast files', async (t) => {
  const world = await startWorld(t);
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  for (let round = 0; round < rounds; round += 1) {
    const client = await SftpClient.connect({ port: world.demo.partner.port, username: 'acme-batch', privateKey });
    const { sessions } = await world.cofferctlJson<{ sessions: readonly { session: string; account: string }[] }>([
      'session',
      'list',
      '--all',
    ]);
    const session = sessions.find((one) => one.account === 'acme-batch')?.session ?? '';
    const handle = await client.open(`deposit/fast-${round}`, 'w');
    let [acknowledged, next] = [0, 0];
    const writing = Array.from({ length: writers }, async () => {
      for (;;) {
        const at = next;
        next += piece.length;
        await client.write(handle, at, piece);
        acknowledged = Math.max(acknowledged, at + piece.length);
      }
    });
    let isOver = false;
    const over = Promise.allSettled(writing).then(() => (isOver = true));
    while (acknowledged <= 16 * 2 ** 20 && !isOver) await sleep(20);
    t.ok(acknowledged > 16 * 2 ** 20, 'more than one extent is under way');
    const ended = await world.cofferctl(['session', 'end', session, '--reason', 'a test', '--execute']);
    t.equal(ended.code, 0, ended.err);
    await client.closed;
    await over;
    const size = async (): Promise<number> =>
      (await world.cofferctlJson<Listed>(['file', 'list', 'acme', '--folder', 'deposit'])).files.find(
        (one) => one.path === `/deposit/fast-${round}`,
      )?.size ?? 0;
    let stored = await size();
    for (const end = Date.now() + 20_000; stored < acknowledged && Date.now() < end; stored = await size())
      await sleep(200);
    t.ok(stored >= acknowledged, `round ${round}: ${acknowledged} bytes were acknowledged, ${stored} are stored`);
  }
});

/** Longer than a stopped edge would need for itself, shorter than it may wait for a slow warden. */
const slowMs = 4000;
type Stop = (world: World) => Promise<number | null>;
const stops: Readonly<Record<string, Stop>> = {
  'Ctrl-C, and again by somebody impatient': async (world) => {
    const stopped = world.stop('SIGINT');
    await sleep(300);
    process.kill(world.pid, 'SIGINT');
    return stopped;
  },
  'SIGTERM, and a warden that is slow to answer': async (world) => {
    const wardens = world.pidsOf('warden');
    for (const pid of wardens) process.kill(pid, 'SIGSTOP');
    const stopped = world.stop('SIGTERM');
    await sleep(slowMs);
    for (const pid of wardens) process.kill(pid, 'SIGCONT');
    return stopped;
  },
};

test('a gateway that is stopped in the middle of a file keeps what it acknowledged', async (t) => {
  const world = await startWorld(t, { limits: { drainMs: 1000 } });
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  for (const [name, stop] of Object.entries(stops)) {
    const client = await SftpClient.connect({ port: world.demo.partner.port, username: 'acme-batch', privateKey });
    const path = `deposit/stopped-${name.slice(0, 7).replaceAll(/\W/g, '')}`;
    const handle = await client.open(path, 'w');
    let acknowledged = 0;
    // The gateway waits half of its time for transfers under way, and then cuts them.
    const writing = (async () => {
      for (;;) {
        await client.write(handle, acknowledged, piece.subarray(0, 100_000));
        acknowledged += 100_000;
        await sleep(20);
      }
    })();
    let isOver = false;
    const over = writing.catch(() => (isOver = true));
    while (acknowledged <= 1_000_000 && !isOver) await sleep(20);
    t.equal(await stop(world), 0, name);
    await over;
    t.notMatch(world.log, /could not be released|could not report the end/, 'everything was said');
    await world.start();
    const { files } = await world.cofferctlJson<Listed>(['file', 'list', 'acme', '--folder', 'deposit']);
    const stored = files.find((one) => one.path === `/${path}`)?.size ?? 0;
    t.ok(
      acknowledged > 1_000_000 && stored >= acknowledged,
      `${name}: ${acknowledged} bytes were acknowledged, ${stored} are stored`,
    );
  }
});
