// T-27: a restore, or a failover to an old copy, would silently give back budgets and erase the record. When the
// witness is newer, nothing is served until two operators have given up what is lost.
import { readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { copyDatabase, replaceDatabase } from '../support/database-copies.ts';
import { DebianServer } from '../support/debian-server.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { newestNote, told, verifyRecord, witnessed } from '../support/verified-record.ts';
import { startWorld, type World } from '../support/world.ts';

type Freeze = { readonly freeze: string; readonly why: string; readonly text: string; readonly era: number };
type Status = { readonly era: number; readonly freeze: Freeze | null };
const reason = ['--reason', 'the storage failed; this is the backup of 02:00'];

const status = (world: World): Promise<Status> => world.cofferctlJson<Status>(['ledger', 'status']);

/** What a restart may delete: everything that no row knows. */
const objects = (world: World): readonly string[] =>
  readdirSync(join(world.directory, 'store', 'objects'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

async function collect(t: Test, world: World, name: string): Promise<void> {
  const local = join(world.directory, name);
  writeFileSync(local, `${name}\n`.repeat(50_000));
  t.equal((await world.sftpWhenServed('acme-batch', [`put ${local} deposit/${name}`])).code, 0, `${name} is put`);
  const got = await world.sftp('processor', [`get acme/deposit/${name} ${local}.got`]);
  t.equal(got.code, 0, `and collected ${got.err}`);
}

/** Nobody can log in, nothing new is recorded, and operators are told and can do nothing else. */
async function isFrozen(t: Test, world: World, server: DebianServer, why: string): Promise<Freeze> {
  const opened = async (): Promise<unknown> =>
    (
      await server.query(
        "select count(*)::int as n from ledger where kind in ('session.opened', 'extent.granted', 'folder.listed')",
        'cofferdam',
      )
    )[0]?.n;
  const before = await opened();
  t.not((await world.sftp('acme-batch', ['ls'])).code, 0, 'no login of a machine');
  t.not((await world.sftp('acme', ['ls'])).code, 0, 'nor of a person');
  t.equal(await opened(), before, 'and nothing of it on record: it did not happen');
  const told = await world.cofferctlAlone(['ledger', 'status']);
  t.match(
    [told.code, told.out],
    [1, /FROZEN since .*: nothing is served[\s\S]*cofferctl ledger release/],
    'ledger status',
  );
  t.match(await world.cofferctlAlone(['status']), { code: 1, out: /record +FROZEN, nothing is served/ }, 'status');
  t.match((await world.cofferctlAlone(['doctor'])).out, /fault +record: frozen/, 'doctor');
  const lock = await world.cofferctlAlone(['account', 'lock', 'globex', '--reason', 'x', '--execute']);
  t.match([lock.code === 0, lock.err], [false, /frozen: .*Nothing was done/], 'no other command is done');
  const { freeze } = await status(world);
  t.equal(freeze?.why, why, freeze?.text ?? 'nothing is frozen');
  return freeze as Freeze;
}

/** One alone cannot; two can. */
async function release(t: Test, world: World, freeze: Freeze): Promise<void> {
  const alone = await world.cofferctlAlone(['ledger', 'release', freeze.freeze, ...reason, '--execute']);
  t.match([alone.code, alone.out], [0, /^proposed as change/], 'one operator proposes');
  const [, change = '', hash = ''] = /change approve (\S+) --hash (\S+)/.exec(alone.out) ?? [];
  const own = await world.cofferctlAlone(['change', 'approve', change, '--hash', hash, '--execute']);
  t.not(own.code, 0, `and cannot approve it: ${own.err}`);
  t.not((await status(world)).freeze, null, 'still frozen');
  const both = await world.cofferctl(['ledger', 'release', freeze.freeze, ...reason]);
  t.match([both.code, both.out], [0, new RegExp(`era ${freeze.era + 1}`)], `two can ${both.err}`);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0, 'customers are served again');
}

async function sealsInEra(
  t: Test,
  world: World,
  server: DebianServer,
  key: string,
  era: number,
  lost: number,
): Promise<void> {
  await collect(t, world, `lost-${lost}-era-${era}-${Date.now()}`);
  await witnessed(world);
  const witness = join(world.directory, 'witness');
  t.equal(parseNote((await newestNote(witness)) ?? '').checkpoint.era, era, `what is sealed now belongs to era ${era}`);
  const { code, report } = await verifyRecord({ url: server.url('cofferdam'), key, witness });
  t.equal(code, 0, `the verifier accepts it ${told(report)}`);
  t.equal(report.lost.length, lost, 'and says what was lost');
  t.ok(
    report.lost.every((one) => one.toSize > one.fromSize),
    JSON.stringify(report.lost),
  );
}

test('a restored database, a copy that takes its place, and a healthy move', async (t) => {
  const server = await DebianServer.start(t);
  await server.query('create database cofferdam');
  const world = await startWorld(t, { env: { DATABASE_URL: server.url('cofferdam') } });
  await collect(t, world, 'before');
  const { key } = await witnessed(world);
  const dump = await server.dump('cofferdam', 'backup');
  await collect(t, world, 'after');
  await witnessed(world);
  await world.stop();
  await server.restore('cofferdam', dump);
  const stored = objects(world);
  t.ok(stored.length > 1);
  // As old as they are when a backup is restored.
  for (const path of stored) utimesSync(path, 0, 0);
  // As on a new machine whose mount is missing: nobody can tell that the database is old.
  const witness = join(world.directory, 'witness');
  renameSync(witness, `${witness}.aside`);
  await t.rejects(
    world.start(),
    /the witness \S+ has no checkpoint, though \d+ heads of this record were witnessed/,
    'no witness, no service',
  );
  rmSync(witness, { recursive: true, force: true });
  renameSync(`${witness}.aside`, witness);
  await world.start();
  t.same(objects(world), stored, 'what the old database does not know is no stray: perhaps it is the wrong database');

  t.match(
    world.log,
    /^Cofferdam is running but serves nobody: .*older than what was witnessed/m,
    'which `up` does not call serving',
  );
  const first = await isFrozen(t, world, server, 'behind');
  t.match(
    first.text,
    /witness local has a checkpoint of \d+ heads.*the database holds \d+ heads.*older than what was witnessed/,
  );

  // The owner of the database writes the release himself, with a change that two operators did sign, for something
  // else.
  await server.query(
    `update ledger_freeze set released_at = now(), era = 2, change_id = (select id from change where state = 'applied' limit 1);
     update ledger_state set era = 2`,
    'cofferdam',
  );
  t.ok(
    await world.logged(/is written back; it was marked as released, which no two operators did/),
    'a forged release is seen through',
  );
  t.equal((await status(world)).era, 2, 'though the database says that it was released');
  const seenThrough = await isFrozen(t, world, server, 'behind');
  t.match(
    seenThrough,
    { freeze: first.freeze, text: first.text, era: 2 },
    'it is the same freeze, of the era that began meanwhile',
  );
  await release(t, world, seenThrough);
  await sealsInEra(t, world, server, key, 3, 1);

  // A failover under the running warden: in one move an older copy takes the place of the database.
  await copyDatabase(server.url('cofferdam'), 'stale');
  // Sealed once more than the copy knows: after the release, what the copy has counts, also for running wardens.
  t.equal(
    (await world.cofferctl(['account', 'set', 'acme-batch', '--networks', '127.0.0.0/8', '--reason', 'x'])).code,
    0,
  );
  await collect(t, world, 'later');
  const reader = await SftpClient.connect({
    port: world.demo.internal.port,
    username: 'processor',
    privateKey: readFileSync(world.keyFile('processor'), 'utf8'),
  });
  const handle = await reader.open('/acme/deposit/later');
  await witnessed(world);
  let taken = 0;
  const said = world.log.length;
  await replaceDatabase(server.url('cofferdam'), 'stale', 'aside');
  const at = Date.now();
  const grants =
    "select count(*)::int as n, coalesce(sum(bytes), 0)::int as bytes from ledger where kind = 'extent.granted'";
  const recorded = async (database: string) =>
    (await server.query(grants, database))[0] as { n: number; bytes: number };
  const atSwitch = { stale: await recorded('cofferdam'), aside: await recorded('aside') };
  t.ok(await world.logged(/"msg":"frozen: [^"]*older than what was witnessed/, said), 'frozen');
  t.comment(`frozen ${Date.now() - at} ms after the switch`);
  // Paused or refused, either may happen.
  void reader.read(handle, 0, 4096).then(
    (bytes) => (taken += bytes.length),
    () => {},
  );
  const second = await isFrozen(t, world, server, 'behind');
  t.equal(taken, 0, 'a session that was open gets nothing');
  reader.destroy();
  t.same(
    { stale: await recorded('cofferdam'), aside: await recorded('aside') },
    atSwitch,
    'no key left the warden since',
  );
  t.ok(atSwitch.aside.n > atSwitch.stale.n, 'though the copy had more budget left');
  await release(t, world, second);
  await sealsInEra(t, world, server, key, 4, 2);

  // Everything, on another server: another system identifier, the same record.
  await world.stop();
  const other = await DebianServer.start(t);
  await server.copyRolesTo(other);
  await other.restore('cofferdam', await server.dump('cofferdam', 'everything'));
  world.env.DATABASE_URL = other.url('cofferdam');
  await world.start();
  t.notSame(
    objects(world).filter((path) => stored.includes(path)),
    stored,
    'twin: strays of what was given up are deleted',
  );
  await collect(t, world, 'moved');
  t.equal((await status(world)).freeze, null, 'a healthy move is no reason to freeze');
  await sealsInEra(t, world, other, key, 4, 2);
});
