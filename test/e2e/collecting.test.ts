// Collecting as clients do it: whoever is done with a file removes it or moves it into archive/, for its own account
// and for nobody else.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { t as file, test } from 'tap';
import { sftpStatus } from '../../server/domain/errors.ts';
import { RawSftp } from '../support/raw-sftp.ts';
import { type Done, run, startWorld } from '../support/world.ts';

// The rclone of Debian 12 does not know the strict key exchange.
const world = await startWorld(file, { env: { COFFERDAM_PROFILE: 'legacy' } });
const database = new pg.Client({ connectionString: world.databaseUrl });
await database.connect();
file.teardown(() => database.end());
await database.query("select set_config('cofferdam.customers', '*', false)");

const reason = ['--reason', 'test'];
const place = (name: string): string => join(world.directory, name);
const { PERMISSION_DENIED, NO_SUCH_FILE, FAILURE, OK } = sftpStatus;
/** Sends statements into acme's collect folder, as our own side does. */
async function send(...names: readonly string[]): Promise<void> {
  const lines = names.flatMap((name, i) => {
    writeFileSync(place(`sent-${i}`), `statement ${name}`);
    const directories = name.split('/').slice(0, -1);
    return [
      ...directories.map((one) => `-mkdir acme/collect/${one}`),
      `put ${place(`sent-${i}`)} acme/collect/${name}`,
    ];
  });
  const done = await world.sftp('processor', lines);
  if (done.code !== 0) throw new Error(done.err);
}
const ls = async (account: string, path: string): Promise<readonly string[]> => {
  const done = await world.sftp(account, [`ls -1 ${path}`]);
  if (done.code !== 0) throw new Error(done.err);
  return done.out
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('sftp>'))
    .map((line) => line.slice(line.lastIndexOf('/') + 1))
    .sort();
};
const give = (verbs = 'done', account = 'acme-batch'): Promise<Done> =>
  world.cofferctl(['account', 'set', account, '--give', `acme/collect:${verbs}`, ...reason]);
type Listed = {
  readonly path: string;
  readonly version: string;
  readonly state: string;
  readonly done: readonly { readonly account: string; readonly at: string }[];
};
const listed = async (path: string): Promise<Listed | undefined> =>
  (await world.cofferctlJson<{ files: readonly Listed[] }>(['file', 'list', 'acme', '--folder', 'collect'])).files.find(
    (one) => one.path === path,
  );
const entries = async (kind: string): Promise<readonly string[]> =>
  (
    await database.query<{ said: string }>(
      "select concat_ws(' ', a.name, l.public ->> 'folder', l.public ->> 'path') as said from ledger l join account a on a.id = l.account_id where l.kind = $1 order by l.at",
      [kind],
    )
  ).rows.map((row) => row.said);

test('without the right nobody removes or moves, and is told what to ask for', async (t) => {
  await send('first.xml');
  const bank = await RawSftp.connect(world, 'acme-batch');
  const wanted = /ask the operators of this gateway for the right "done"/;
  t.match(await bank.remove('/collect/first.xml'), { code: PERMISSION_DENIED, text: wanted });
  t.match(await bank.rename('/collect/first.xml', '/collect/archive/first.xml'), {
    code: PERMISSION_DENIED,
    text: wanted,
  });
  t.match(await bank.stat('/collect/archive'), { code: NO_SUCH_FILE }, 'there is no archive');
  t.match(await bank.remove('/collect/absent.xml'), { code: NO_SUCH_FILE });
  t.same(await ls('acme', 'collect'), ['first.xml']);
  t.match((await world.sftp('acme-batch', ['rm collect/first.xml'])).err, wanted, 'OpenSSH shows it');

  const alone = ['account', 'set', 'acme-batch', '--give', 'acme/collect:done', ...reason, '--execute'];
  t.match((await world.cofferctlAlone(alone)).out, /^proposed as change/, 'one operator alone only proposes');
  const beyond = await world.cofferctl(['account', 'set', 'acme-batch', '--give', 'acme/deposit:done', ...reason]);
  t.match(beyond.err, /cannot have done in acme\/deposit: a partner account may have list, write in a deposit folder/);
  t.match((await world.cofferctl(['account', 'set', 'acme-batch', '--give', 'acme', ...reason])).err, /exactly these/);
});

test('removing withdraws a file for this account, and for nobody else', async (t) => {
  t.equal((await give()).code, 0);
  const [bank, second] = [await RawSftp.connect(world, 'acme-batch'), await RawSftp.connect(world, 'acme-batch')];
  t.ok(await second.exists('/collect/first.xml'));
  t.same(await ls('acme-batch', 'collect/archive'), []);
  t.match(await bank.remove('/collect/first.xml'), { code: OK });
  for (const session of [bank, second]) {
    t.notOk(await session.exists('/collect/first.xml'), 'in no session of the account');
    t.match(await session.opening('/collect/first.xml', 1), { code: NO_SUCH_FILE });
    t.match(await session.remove('/collect/first.xml'), { code: NO_SUCH_FILE });
    t.equal(
      (await session.read('/collect/archive/first.xml')).toString(),
      'statement first.xml',
      'it is in the archive',
    );
  }
  t.same(await ls('acme-batch', 'collect'), []);
  t.same(await ls('acme-batch', 'collect/archive'), ['first.xml']);
  t.same(await ls('acme', 'collect'), ['first.xml'], 'a colleague sees it as before');
  t.equal((await world.sftp('acme', [`get collect/first.xml ${place('got')}`])).code, 0);
  t.same(await ls('processor', 'acme/collect'), ['first.xml'], 'and so does our own side');
  t.match(await bank.remove('/collect/archive/first.xml'), {
    code: PERMISSION_DENIED,
    text: /until its retention ends/,
  });
  t.match(await bank.remove('/collect/archive'), { code: FAILURE, text: /directory/ });

  const row = await listed('/collect/first.xml');
  t.match(row, { state: 'published', done: [{ account: 'acme-batch' }] });
  t.match((await world.cofferctl(['file', 'list', 'acme'])).out, /DONE[\s\S]*acme-batch 20\d\d-/);
  t.same(await entries('file.done'), ['acme-batch collect /first.xml']);
  const opened = await database.query<{ n: string }>(
    "select count(*) as n from ledger where kind = 'download.opened' and public ->> 'path' = '/first.xml' and account_id = (select id from account where name = 'acme-batch')",
  );
  t.equal(Number(opened.rows[0]?.n), 2, 'reads in the archive are recorded under the name of the file');
  t.ok(
    Number(
      (
        await database.query<{ n: string }>(
          "select count(*) as n from ledger where kind = 'extent.granted' and version_id = $1",
          [row?.version],
        )
      ).rows[0]?.n,
    ) >= 3,
    'and their extents are charged and recorded',
  );

  const reopen = ['file', 'reopen', row?.version ?? '', 'acme-batch', ...reason];
  t.match((await world.cofferctlAlone([...reopen, '--execute'])).out, /finds the file in its folder again/);
  t.same(await ls('acme-batch', 'collect'), ['first.xml']);
  t.same(await ls('acme-batch', 'collect/archive'), []);
  t.match((await world.cofferctlAlone([...reopen, '--execute'])).err, /acme-batch is not done with this version/);
  t.same(await entries('file.reopened'), ['acme-batch']);
});

test('moving into archive/ does the same, and back', async (t) => {
  await send('month/second.xml');
  const bank = await RawSftp.connect(world, 'acme-batch');
  const [from, to] = ['/collect/month/second.xml', '/collect/archive/month/second.xml'];
  for (const [target, code, text] of [
    ['/collect/archive/second.xml', PERMISSION_DENIED, /rename it to \/collect\/archive\/month\/second\.xml/],
    ['/collect/archive/month/other.xml', PERMISSION_DENIED, /keeps its name/],
    ['/collect/archive', FAILURE, /target is a directory/],
    ['/collect/second.xml', PERMISSION_DENIED, /may be renamed to \/collect\/archive\/month\/second\.xml/],
  ] as const)
    t.match(await bank.rename(from, target), { code, text }, target);
  t.match(await bank.rename('/collect/month', '/collect/archive/month'), { code: FAILURE, text: /not renamed here/ });
  t.match(await bank.mkdir('/collect/archive'), { code: FAILURE, text: /exists already/ }, 'clients make it first');
  t.match(await bank.rename(from, to), { code: OK });
  t.notOk(await bank.exists(from));
  t.ok(await bank.exists(to));
  t.same(await ls('acme-batch', 'collect/archive/month'), ['second.xml']);
  t.same(await ls('acme-batch', 'collect'), ['first.xml', 'month'], 'no listing shows the archive');
  t.match(await bank.rename(from, to), { code: NO_SUCH_FILE }, 'it is gone from its place');
  t.match(await bank.rename(to, '/collect/archive/second.xml'), { code: PERMISSION_DENIED });
  t.match(await bank.rename(to, from), { code: OK }, 'and comes back');
  t.ok(await bank.exists(from));
  t.notOk(await bank.exists(to));
  t.match(await bank.move(from, to), { code: OK }, 'the RENAME of the protocol does the same');
});

test('a new version is a new file, for whoever was done with the former one', async (t) => {
  const bank = await RawSftp.connect(world, 'acme-batch');
  t.match(await bank.remove('/collect/first.xml'), { code: OK });
  await send('first.xml');
  t.ok(await bank.exists('/collect/first.xml'));
  t.notOk(await bank.exists('/collect/archive/first.xml'), 'the archive shows nothing that was replaced');
  t.match(await bank.remove('/collect/first.xml'), { code: OK });
  await world.cofferctl(['file', 'withdraw', (await listed('/collect/first.xml'))?.version ?? '', ...reason]);
  t.notOk(await bank.exists('/collect/archive/first.xml'), 'what is withdrawn for everybody is in no archive');
  t.notOk(await bank.exists('/collect/first.xml'), 'and no older version comes up');
});

test('what really is called archive is what everybody finds there', async (t) => {
  await send('third.xml', 'archive/real.xml');
  const bank = await RawSftp.connect(world, 'acme-batch');
  t.same(await ls('acme-batch', 'collect'), ['archive', 'month', 'third.xml']);
  t.same(await ls('acme-batch', 'collect/archive'), ['real.xml'], 'nothing that was sent is hidden by the view');
  t.match(await bank.rename('/collect/third.xml', '/collect/archive/third.xml'), { code: PERMISSION_DENIED });
  t.match(await bank.remove('/collect/archive/real.xml'), { code: OK }, 'it is a file like any other');
  t.equal((await world.sftp('processor', ['-rm acme/collect/archive/real.xml', 'rmdir acme/collect/archive'])).code, 0);
  t.match(await bank.rename('/collect/third.xml', '/collect/archive/third.xml'), { code: OK });
});

test('the question who could have read a file knows nothing of it; a right that was taken opens no archive', async (t) => {
  type Scope = { readonly unread: readonly { readonly path: string | null }[] };
  const unread = async (): Promise<readonly (string | null)[]> => {
    const args = ['incident', 'scope', '--account', 'acme-batch', '--since', '1h'];
    return (await world.cofferctlJson<Scope>(args)).unread.map((one) => one.path).sort();
  };
  await send('never-read.xml');
  const before = await unread();
  t.match(before.join(), /never-read\.xml/);
  const bank = await RawSftp.connect(world, 'acme-batch');
  t.match(await bank.remove('/collect/never-read.xml'), { code: OK }, 'done with a file that it never read');
  t.same(await unread(), before, 'it could have read it, then as now');
  const taken = ['account', 'set', 'acme-batch', '--take', 'acme/collect:done', ...reason, '--execute'];
  t.equal((await world.cofferctlAlone(taken)).code, 0);
  const after = await RawSftp.connect(world, 'acme-batch');
  t.match(await after.stat('/collect/archive/never-read.xml'), { code: NO_SUCH_FILE });
  t.notOk(await after.exists('/collect/never-read.xml'), 'what it was done with does not come back by that');
  t.equal((await give()).code, 0);
  const readOnly = ['account', 'set', 'acme-batch', '--read-only', 'yes', ...reason];
  t.equal((await world.cofferctl(readOnly)).code, 0);
  await send('fourth.xml');
  const reader = await RawSftp.connect(world, 'acme-batch');
  t.match(
    await reader.remove('/collect/fourth.xml'),
    { code: PERMISSION_DENIED },
    'a read-only account changes nothing',
  );
  t.equal((await world.cofferctl(['account', 'set', 'acme-batch', '--read-only', 'no', ...reason])).code, 0);
});

test('a row that the owner of the database adds or deletes moves a file between two places, and opens nothing', async (t) => {
  await send('owned.xml');
  const version = (await listed('/collect/owned.xml'))?.version ?? '';
  const bank = await RawSftp.connect(world, 'acme-batch');
  const add = (account: string): Promise<unknown> =>
    database.query(
      'insert into done_file (account_id, version_id, customer_id) select a.id, v.id, v.customer_id from account a, version v where a.name = $1 and v.id = $2',
      [account, version],
    );
  await add('acme-batch');
  t.same(
    [await bank.exists('/collect/owned.xml'), await bank.exists('/collect/archive/owned.xml')],
    [false, true],
    'the account reads it in its archive',
  );
  await database.query('delete from done_file where version_id = $1', [version]);
  t.same([await bank.exists('/collect/owned.xml'), await bank.exists('/collect/archive/owned.xml')], [true, false]);
  await add('globex-batch');
  const other = await RawSftp.connect(world, 'globex-batch');
  t.match(await other.stat('/collect/archive/owned.xml'), { code: NO_SUCH_FILE }, 'another bank reaches nothing by it');
  await database.query('delete from done_file where version_id = $1', [version]);
});

test('our own side is done with deposits in the same way', async (t) => {
  writeFileSync(place('pay.xml'), 'pay');
  t.equal((await world.sftp('acme-batch', [`put ${place('pay.xml')} deposit/pay.xml`])).code, 0);
  const wanted = /ask the operators of this gateway for the right "done"/;
  for (let i = 0; i < 40 && !(await ls('processor', 'acme/deposit')).includes('pay.xml'); i += 1)
    await new Promise((resolve) => setTimeout(resolve, 250));
  t.match((await world.sftp('processor', ['rm acme/deposit/pay.xml'])).err, wanted);
  const set = ['account', 'set', 'processor', '--give', 'acme/deposit:done', ...reason];
  t.equal((await world.cofferctl(set)).code, 0);
  const moved = await world.sftp('processor', ['rename acme/deposit/pay.xml acme/deposit/archive/pay.xml']);
  t.equal(moved.code, 0, moved.err);
  t.same(await ls('processor', 'acme/deposit'), []);
  t.same(await ls('processor', 'acme/deposit/archive'), ['pay.xml']);
  t.same(await ls('acme', 'deposit'), ['pay.xml'], 'its sender finds it where it was');
});

test('rclone move takes what is there, and finds nothing the next night', async (t) => {
  const names = Array.from({ length: 12 }, (_, i) => `night/statement-${i}.xml`);
  await send(...names);
  const { host, port } = world.demo.partner;
  const words = [`host=${host}`, `port=${port}`, 'user=acme-batch', `key_file=${world.keyFile('acme-batch')}`];
  const remote = `:sftp,${[...words, 'shell_type=none', 'md5sum_command=none', 'sha1sum_command=none'].join(',')}:`;
  const rclone = (...args: readonly string[]): Promise<Done> =>
    run('rclone', ['--config', '/dev/null', '--retries', '1', '--low-level-retries', '2', '-v', ...args], {
      env: { HOME: world.directory },
    });
  const target = place('collected');
  mkdirSync(target);
  const first = await rclone('move', `${remote}collect`, target);
  t.equal(first.code, 0, first.err);
  t.same(
    readdirSync(join(target, 'night')).sort(),
    names.map((name) => name.slice('night/'.length)).sort(),
    'everything was collected',
  );
  t.equal(readFileSync(join(target, 'night', 'statement-7.xml'), 'utf8'), 'statement night/statement-7.xml');
  const again = await rclone('move', `${remote}collect`, place('again'));
  t.equal(again.code, 0, again.err);
  t.match(again.err, /There was nothing to transfer/);
  t.same(await ls('acme', 'collect/night'), readdirSync(join(target, 'night')).sort(), 'its colleague still has all');
  t.match(
    (await rclone('moveto', `${remote}collect/archive/night/statement-7.xml`, `${remote}collect/night/statement-7.xml`))
      .code,
    0,
  );
  const moved = await rclone(
    'moveto',
    `${remote}collect/night/statement-7.xml`,
    `${remote}collect/archive/night/statement-7.xml`,
  );
  t.equal(moved.code, 0, moved.err);
  const verified = await world.cofferctl(['ledger', 'verify']);
  t.equal(verified.code, 0, verified.out + verified.err);
});
