// What cannot be recorded does not happen: nobody logs in, no name is told, no key leaves, nothing is acknowledged.
// Counted on the side of the customers.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { temporaryDirectory } from '../support/database.ts';
import { DebianServer, fill, type ServerOptions } from '../support/debian-server.ts';
import { knownFile, type Released, recorded, Taker } from '../support/releases.ts';
import { sshConnection } from '../support/ssh.ts';
import { told, verifyRecord, witnessed } from '../support/verified-record.ts';
import { startWorld, type World, type WorldOptions } from '../support/world.ts';

type Scene = { readonly server: DebianServer; readonly world: World; readonly taker: Taker; readonly key: string };

async function setUp(t: Test, options: ServerOptions = {}, more: WorldOptions = {}): Promise<Scene> {
  const server = await DebianServer.start(t, options);
  await server.query('create database cofferdam');
  const world = await startWorld(t, {
    ...more,
    limits: { wardenRetryMs: 1000, ...more.limits },
    env: { DATABASE_URL: server.url('cofferdam'), ...more.env },
  });
  const local = join(world.directory, knownFile);
  writeFileSync(local, 'known\n'.repeat(1000));
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/${knownFile}`])).code, 0);
  const { key } = await witnessed(world);
  return { server, world, taker: new Taker(world), key };
}

/** In the end everything works, by itself. */
async function isServed(t: Test, { taker }: Scene, when: string): Promise<void> {
  let refused: readonly string[] = ['not tried'];
  for (const end = Date.now() + 60_000; refused.length > 0 && Date.now() < end; ) refused = await taker.once();
  t.same(refused, [], `${when}: everything is given`);
}

/** Nothing was given that is not on the record, and what was acknowledged is there. */
async function isRecorded(
  t: Test,
  { server, taker, world, key }: Scene,
  witness = join(world.directory, 'witness'),
): Promise<void> {
  await witnessed(world);
  const [row] = (await server.query(recorded, 'cofferdam')) as (Released & { readonly uploads: readonly string[] })[];
  for (const what of ['sessions', 'lists', 'receipts', 'bytes'] as const)
    t.ok(
      taker.released[what] <= (row?.[what] ?? 0),
      `${what}: ${taker.released[what]} given, ${row?.[what]} on record`,
    );
  t.ok(taker.released.bytes > 0 && taker.receipts.length > 0, 'and there was something');
  t.same(
    taker.receipts.filter((name) => row?.uploads.some((path) => path.endsWith(name)) !== true),
    [],
    'every acknowledged upload is on record',
  );
  const { code, report } = await verifyRecord({ url: server.url('cofferdam'), key, witness });
  t.equal(code, 0, `and the record is whole ${told(report)}`);
}

test('the warden may not write the record, the database is away, the database does not react', async (t) => {
  const scene = await setUp(t);
  const { server, world, taker } = scene;
  await isServed(t, scene, 'before');

  const person = await sshConnection(world, {
    account: 'acme',
    keyFile: world.keyFile('acme'),
    code: await world.code('acme'),
  });
  t.equal((await person.say('unlock acme-batch --for 1h')).code, 0, 'the console, before');
  let open = await taker.enter();
  const before = { ...taker.released };
  const rights = (verb: string): Promise<unknown> =>
    server.query(
      `${verb} insert on ledger_fresh ${verb === 'grant' ? 'to' : 'from'} cofferdam_warden, cofferdam_admin`,
      'cofferdam',
    );
  await rights('revoke');
  t.equal((await open.take()).length, 3, 'sessions that were open: list, read and close are refused');
  open.leave();
  t.not((await person.say('unlock acme-batch --for 2h')).code, 0, 'the console');
  t.match(await taker.once(), [/^login: /], 'a login');
  t.not((await world.sftp('globex', ['ls'])).code, 0, 'of a person, too');
  t.not(
    (await world.cofferctlAlone(['account', 'lock', 'globex', '--reason', 'x', '--execute'])).code,
    0,
    'a command of an operator',
  );
  t.not((await world.cofferctlAlone(['account', 'list'])).code, 0, 'and a question');
  t.same(taker.released, before, 'nothing was given');
  const [locked] = await server.query("select state from account where name = 'globex'", 'cofferdam');
  t.match(locked, { state: 'active' }, 'and nothing done');
  await rights('grant');
  await isServed(t, scene, 'twin: when it may again');
  t.equal((await world.cofferctlAlone(['account', 'list'])).code, 0);

  open = await taker.enter();
  const away = { ...taker.released };
  await server.kill();
  t.equal((await open.take()).length, 3, 'the database is killed: an open session gets nothing');
  t.match(await taker.once(), [/^login: /]);
  t.same(taker.released, away, 'nothing was given');
  await server.begin();
  open.leave();
  await isServed(t, scene, 'twin: it is back');

  open = await taker.enter();
  const still = { ...taker.released };
  server.stall(true);
  t.equal((await open.take()).length, 3, 'the database stands still, and nobody says so: an open session gets nothing');
  t.match(await taker.once(), [/^login: /]);
  t.same(taker.released, still, 'nothing was given');
  server.stall(false);
  await isServed(t, scene, 'twin: it goes on');
  open.leave();
  await isRecorded(t, scene);
});

const whyNoMounts = process.getuid?.() === 0 ? false : 'only root can give a test a small disk of its own';

test('the disk of the database is full', { skip: whyNoMounts }, async (t) => {
  const scene = await setUp(t, { diskMiB: 400 });
  const { server, taker } = scene;
  await isServed(t, scene, 'before');
  server.fillDisk();
  // What still fits into existing pages is recorded, and given.
  let inARow = 0;
  for (const end = Date.now() + 120_000; inARow < 4 && Date.now() < end; )
    inARow = (await taker.once()).length > 0 ? inARow + 1 : 0;
  t.equal(inARow, 4, 'one after the other is refused');
  server.emptyDisk();
  await isServed(t, scene, 'twin: there is room again');
  await isRecorded(t, scene);
});

test('the witness cannot be written', { skip: whyNoMounts }, async (t) => {
  // A disk that only the gateway sees.
  const disk = join(temporaryDirectory(t), 'witness');
  const mounted = 'mkdir "$0" && mount -t tmpfs -o size=64k,mode=0777 tmpfs "$0" && exec "$@"';
  const scene = await setUp(
    t,
    {},
    {
      within: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mounted, disk],
      limits: { checkpointEveryMs: 200, witnessAlarmMs: 1000, witnessStopMs: 4000 },
      env: { COFFERDAM_LEDGER: JSON.stringify({ witnesses: [{ type: 'file', name: 'mount', directory: disk }] }) },
    },
  );
  const { world, taker } = scene;
  const witness = `/proc/${world.pid}/root${disk}`;
  await isServed(t, scene, 'before');
  const open = await taker.enter();
  fill(join(witness, 'ballast'));
  t.ok(await world.logged(/"kind":"ledger.late"/), 'an alarm first');
  const { alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string; text: string }[] }>([
    'alert',
    'list',
  ]);
  // On a slow machine, a look that takes long is told first.
  const late = /(?:has no witness|could not be looked at).*after 4 s nothing more is served/;
  t.match(alerts.find((one) => one.kind === 'ledger.late')?.text, late);
  let inARow = 0;
  for (const end = Date.now() + 60_000; inARow < 2 && Date.now() < end; )
    inARow = (await taker.once()).length > 0 ? inARow + 1 : 0;
  const before = { ...taker.released };
  t.match(await taker.once(), [/^login: /], 'then nobody is let in');
  t.equal((await open.take()).length, 3, 'and a session that was open gets nothing');
  t.same(taker.released, before, 'nothing was given');
  t.match(
    await world.cofferctlAlone(['status']),
    { code: 1, out: /NOT WITNESSED for \d+ s, nothing is served/ },
    'operators are told',
  );
  rmSync(join(witness, 'ballast'));
  await isServed(t, scene, 'twin: there is room again');
  open.leave();
  await isRecorded(t, scene, witness);
});
