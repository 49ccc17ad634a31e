// T-33: an honest slow transfer is no idle session. Whoever ends a session, its client reads why, and what was
// acknowledged is kept.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { message, RawClient } from '../support/raw-client.ts';
import { refusal, SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

const idleMs = 6000;
const absoluteMs = 32_000;
/** Two pieces a second: 1 KiB/s. */
const pieceBytes = 512;
const pieceEveryMs = 500;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type FileRow = { readonly path: string; readonly state: string; readonly size: number };
type SessionRow = {
  readonly session: string;
  readonly account: string;
  readonly state: string;
  readonly startedAt: string;
  readonly endReason: string | null;
};

async function fileRow(world: World, name: string): Promise<FileRow | undefined> {
  const { files } = await world.cofferctlJson<{ files: readonly FileRow[] }>([
    'file',
    'list',
    'acme',
    '--folder',
    'deposit',
  ]);
  return files.find((one) => one.path === `/deposit/${name}` && one.state !== 'discarded');
}

async function newestSession(world: World, account: string): Promise<SessionRow> {
  const { sessions } = await world.cofferctlJson<{ sessions: readonly SessionRow[] }>(['session', 'list', '--all']);
  const newest = sessions.find((one) => one.account === account);
  if (newest === undefined) throw new Error(`no session of ${account}`);
  return newest;
}

const connect = async (world: World, name: string): Promise<SftpClient> =>
  SftpClient.connect({
    port: world.account(name).plane === 'internal' ? world.demo.internal.port : world.demo.partner.port,
    username: name,
    privateKey: readFileSync(world.keyFile(name), 'utf8'),
    ...(world.account(name).totpSecret === null ? {} : { code: await world.code(name) }),
  });

/** Writes the first bytes of a file, and waits until it is an upload: a cut offer leaves nothing (decision 60). */
async function begin(world: World, client: SftpClient, name: string, bytes: Buffer): Promise<void> {
  await client.write(await client.open(`deposit/${name}`, 'w'), 0, bytes);
  for (const end = Date.now() + 20_000; (await fileRow(world, name)) === undefined && Date.now() < end; )
    await sleep(100);
}

/** What was acknowledged is in the partial upload, and `reput` continues it to one whole file. */
async function isKept(t: Test, world: World, name: string, acknowledged: number): Promise<void> {
  // The edge seals the tail after the session is over.
  let row = await fileRow(world, name);
  for (
    const end = Date.now() + 20_000;
    row?.size !== acknowledged && Date.now() < end;
    row = await fileRow(world, name)
  )
    await sleep(200);
  t.match(row, { state: 'partial', size: acknowledged }, `${name}: what was acknowledged is stored`);
}

async function continues(t: Test, world: World, name: string, path: string): Promise<void> {
  const again = await world.sftp('acme-batch', [`reput ${path} deposit/${name}`]);
  t.equal(again.code, 0, `${name}: reput goes on: ${again.err}`);
  const whole = readFileSync(path);
  const row = await fileRow(world, name);
  t.equal(row?.size, whole.length, `${name}: and it is whole`);
  t.not(row?.state, 'partial');
}

test('slow transfers outlive three idle lives and a warden; whoever ends a session, its client reads why and loses nothing', async (t) => {
  const world = await startWorld(t, { limits: { sessionIdleLifeMs: idleMs, sessionAbsoluteLifeMs: absoluteMs } });
  const path = join(world.directory, 'local');
  const bytes = randomBytes(100_000);
  writeFileSync(path, bytes);
  t.equal((await world.sftp('acme-batch', [`put ${path} deposit/report`])).code, 0);

  const startedAt = performance.now();
  const agedMs = (): number => performance.now() - startedAt;
  const [writer, reader] = await Promise.all([connect(world, 'acme-batch'), connect(world, 'processor')]);
  const [writing, reading] = await Promise.all([writer.open('deposit/slow', 'w'), reader.open('acme/deposit/report')]);
  const upload = (async () => {
    let sent = 0;
    let lastAt = 0;
    try {
      for (; sent < bytes.length; sent += pieceBytes, lastAt = agedMs(), await sleep(pieceEveryMs))
        await writer.write(writing, sent, bytes.subarray(sent, sent + pieceBytes));
    } catch {
      // Its longest life is over.
    }
    return { sent, lastAt, farewell: await writer.closed };
  })();
  const download = (async () => {
    let got = Buffer.alloc(0);
    for (; agedMs() < 3.3 * idleMs; await sleep(pieceEveryMs))
      got = Buffer.concat([got, await reader.read(reading, got.length, pieceBytes)]);
    await reader.close(reading);
    reader.end();
    return got;
  })();
  await sleep(idleMs / 2);
  world.kill('warden');
  await sleep(idleMs / 2);
  t.equal((await world.sftpWhenServed('acme-batch', ['pwd'])).code, 0, 'there is a warden again');

  await t.test(
    'a client that does nothing is idle, and reads so; one that says every second that it is there is not',
    async (t) => {
      // WinSCP and PuTTY keep a session alive with SSH_MSG_IGNORE.
      const alive = await RawClient.open({ port: world.demo.partner.port });
      t.ok(await alive.login('globex-batch', readFileSync(world.keyFile('globex-batch'), 'utf8')));
      const beat = setInterval(() => alive.send(message(2, '')), 1000);
      const idler = await connect(world, 'acme-batch');
      const { session } = await newestSession(world, 'acme-batch');
      t.match(await idler.closed, /^no activity for too long/);
      await sleep(idleMs / 2);
      t.notOk(alive.isClosed, 'its keep-alives are activity');
      clearInterval(beat);
      alive.close();
      t.match(await newestSession(world, 'acme-batch'), { session, state: 'ended', endReason: 'idle' });
    },
  );

  await t.test('an operator ends a session in the middle of a file', async (t) => {
    const client = await connect(world, 'acme-batch');
    const { session } = await newestSession(world, 'acme-batch');
    await begin(world, client, 'ended', bytes.subarray(0, 30_000));
    const done = await world.cofferctl(['session', 'end', session, '--reason', 'a test', '--execute']);
    t.equal(done.code, 0, done.err);
    t.match(await client.closed, /ended by an operator/);
    await isKept(t, world, 'ended', 30_000);
    await continues(t, world, 'ended', path);
  });

  const got = await download;
  t.ok(
    got.length > 0 && got.equals(bytes.subarray(0, got.length)),
    `a download of 1 KiB/s goes on for three idle lives (${got.length} bytes)`,
  );

  const { sent, lastAt, farewell } = await upload;
  t.ok(
    lastAt > 3 * idleMs,
    `an upload of 1 KiB/s goes on for three idle lives (${Math.round(lastAt)} ms, ${sent} bytes)`,
  );
  t.match(farewell, /maximum duration/, 'until its longest life is over, and says so');
  await isKept(t, world, 'slow', sent);
  await continues(t, world, 'slow', path);

  await t.test(
    'a session whose end nobody was told about is over when the next listening connection is made',
    async (t) => {
      const client = await connect(world, 'acme-batch');
      const { session } = await newestSession(world, 'acme-batch');
      t.ok((await client.list('/')).length > 0);
      const owner = new pg.Client({ connectionString: world.databaseUrl });
      await owner.connect();
      try {
        // Without triggers nobody is notified, and without its number no renewal of a lease reports it.
        await owner.query(
          `begin; set local session_replication_role = replica;
         update session set state = 'ended', ended_at = clock_timestamp(), end_reason = 'a test', end_kind = 'operator' where id = '${session}'; commit`,
        );
        await owner.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cofferdam warden listen' and datname = current_database()",
        );
      } finally {
        await owner.end();
      }
      const listed = async (): Promise<boolean> => (await refusal(client.list('/'))) === null;
      for (const end = Date.now() + 20_000; (await listed()) && Date.now() < end; ) await sleep(100);
      t.notOk(await listed(), 'what this warden remembered of it is forgotten');
      client.destroy();
    },
  );

  await t.test('a key is suspended in the middle of a file', async (t) => {
    const client = await connect(world, 'acme-batch');
    await begin(world, client, 'revoked', bytes.subarray(0, 40_000));
    const { credentials } = await world.cofferctlJson<{
      credentials: readonly { fingerprint: string; state: string }[];
    }>(['credential', 'list', '--account', 'acme-batch']);
    t.equal(
      (
        await world.cofferctl([
          'key',
          'suspend',
          credentials.find((one) => one.state === 'active')?.fingerprint ?? '',
          '--reason',
          'a test',
          '--execute',
        ])
      ).code,
      0,
    );
    t.match(await client.closed, /credential/);
    await isKept(t, world, 'revoked', 40_000);
  });
});
