import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { holdsSoon } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

type File = {
  readonly version: string;
  readonly path: string;
  readonly state: string;
  readonly withdrawnWhy: string | null;
};
const files = async (world: World): Promise<readonly File[]> =>
  (await world.cofferctlJson<{ files: readonly File[] }>(['file', 'list', 'acme', '--folder', 'collect'])).files;
const find = async (world: World, path: string): Promise<File | undefined> =>
  (await files(world)).find((one) => one.path === path);

const objectsOf = (world: World): number =>
  readdirSync(join(world.directory, 'store', 'objects'), { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  ).length;

const patience = { withinMs: 120_000, everyMs: 100 };

/** Days pass for published versions: only the database's owner can do that. */
async function age(world: World, days: number): Promise<void> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    await client.query(
      "update version set published_at = published_at - $1 * interval '1 day', released_until = released_until - $1 * interval '1 day' where published_at is not null",
      [days],
    );
  } finally {
    await client.end();
  }
}
async function query<T extends pg.QueryResultRow>(
  world: World,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly T[]> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return (await client.query<T>(text, values as unknown[])).rows;
  } finally {
    await client.end();
  }
}

test('a version leaves after its window or its reads, an operator brings it back, its key goes when retention ends', async (t) => {
  const world = await startWorld(t, { limits: { collectEveryMs: 300 } });
  const local = join(world.directory, 'r');
  const content = randomBytes(300_000);
  writeFileSync(local, content);
  const got = join(world.directory, 'got');
  t.equal((await world.sftp('processor', [`put ${local} acme/collect/a`, `put ${local} acme/collect/b`])).code, 0);
  const set = await world.cofferctl([
    'folder',
    'set',
    'acme',
    'collect',
    '--window-days',
    '10',
    '--reads',
    '2',
    '--retention-days',
    '20',
    '--reason',
    'agreed',
  ]);
  t.match([set.code, set.out], [0, /readsMax 2\nwindowDays 10\nretentionDays 20\n/], set.err);

  const read = (name: string): Promise<{ code: number | null }> =>
    world.sftp('acme-batch', [`get collect/${name} ${got}`]);
  t.equal((await read('a')).code, 0);
  t.equal((await world.sftp('processor', ['ls acme/collect/a'])).code, 0);
  t.equal((await find(world, '/collect/a'))?.state, 'published', 'one read of two');
  t.equal((await read('a')).code, 0);
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/a'))?.state === 'withdrawn', patience),
    'after the second it leaves the tree',
  );
  t.match(await find(world, '/collect/a'), { withdrawnWhy: 'reads' });
  t.equal((await read('a')).code, 1, 'and can no longer be read');
  t.notMatch((await world.sftp('acme-batch', ['ls collect'])).out, /collect\/a/);
  t.match((await world.sftp('acme-batch', ['ls collect'])).out, /collect\/b/, 'the other one stays');

  const a = (await find(world, '/collect/a'))?.version ?? '';
  const b = (await find(world, '/collect/b'))?.version ?? '';
  const released = await world.cofferctl(['file', 'release', a, '--days', '3', '--reason', 'lost its copy']);
  t.match([released.code, released.out], [0, /until 20/], released.err);
  t.equal((await read('a')).code, 0, 'an operator released it again');
  t.ok(readFileSync(got).equals(content));
  t.match(
    [(await world.cofferctl(['file', 'release', b, '--reason', 'x'])).code],
    [5],
    'what is published needs no release',
  );

  await age(world, 11);
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/b'))?.state === 'withdrawn', patience),
    'the window is over',
  );
  t.match(await find(world, '/collect/b'), { withdrawnWhy: 'window' });
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/a'))?.state === 'withdrawn', patience),
    'and so is the release',
  );

  const hold = await world.cofferctlJson<{ hold: string }>([
    'hold',
    'place',
    'acme',
    '--version',
    b,
    '--reason',
    'investigation',
  ]);
  t.match((await world.cofferctl(['hold', 'list'])).out, new RegExp(`${hold.hold}[\\s\\S]*investigation`));
  t.equal(objectsOf(world), 2, 'both are in the store');
  await age(world, 10);
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/a'))?.state === 'destroyed', patience),
    'retention has ended',
  );
  t.equal((await find(world, '/collect/b'))?.state, 'withdrawn', 'the hold keeps the other one');
  const keys = await query<{ id: string; bytes: number; gone: boolean }>(
    world,
    'select v.id, octet_length(c.wrapped_key) as bytes, c.destroyed_at is not null as gone from version v join content c on c.id = v.content_id where v.id = any ($1::uuid[])',
    [[a, b]],
  );
  t.match(
    keys.find((one) => one.id === a),
    { bytes: 0, gone: true },
    'the key is gone',
  );
  t.match(
    keys.find((one) => one.id === b),
    { gone: false },
    'the held one is not',
  );
  t.ok(await holdsSoon(async () => objectsOf(world) === 1, patience), 'its object is collected');
  const never = await world.cofferctl(['file', 'release', a, '--reason', 'please']);
  t.match([never.code, never.err], [5, /destroyed; nobody can read it again/]);
  t.equal(
    (await world.cofferctl(['file', 'release', b, '--days', '1', '--reason', 'the court asks'])).code,
    0,
    'what is held can be released',
  );
  t.equal((await read('b')).code, 0);
  t.ok(readFileSync(got).equals(content), 'whole');
  t.equal((await world.cofferctl(['file', 'withdraw', b, '--reason', 'done'])).code, 0);
  t.equal((await world.cofferctl(['hold', 'lift', hold.hold, '--reason', 'closed'])).code, 0);
  t.equal((await world.cofferctl(['hold', 'lift', hold.hold, '--reason', 'again'])).code, 3, 'once');
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/b'))?.state === 'destroyed', patience),
    'lifted: destroyed',
  );
  t.ok(await holdsSoon(async () => objectsOf(world) === 0, patience), 'and nothing of it is left');

  await t.rejects(
    query(world, "update version set state = 'published' where id = $1", [a]),
    /final/,
    'not even the owner brings it back',
  );
  await t.rejects(query(world, "update content set wrapped_key = 'x', destroyed_at = null"), /stays destroyed/);
  const kinds = await query<{ kind: string; n: string }>(
    world,
    "select kind, count(*) as n from ledger where kind in ('file.withdrawn', 'file.released', 'file.destroyed', 'file.read-completely', 'hold.placed', 'hold.lifted', 'folder.changed') group by kind",
  );
  t.same(
    Object.fromEntries(kinds.map((row) => [row.kind, Number(row.n)])),
    {
      'file.withdrawn': 4,
      'file.released': 2,
      'file.destroyed': 2,
      'file.read-completely': 4,
      'hold.placed': 1,
      'hold.lifted': 1,
      'folder.changed': 1,
    },
    'all of it is on the record',
  );
  for (const wrong of [
    ['folder', 'set', 'acme', 'collect', '--reason', 'x'],
    ['folder', 'set', 'acme', 'nowhere', '--reads', '1', '--reason', 'x'],
    ['folder', 'set', 'acme', 'collect', '--window-days', '30', '--retention-days', '3', '--reason', 'x'],
    ['hold', 'place', 'acme', '--folder', 'collect', '--version', a, '--reason', 'x'],
    ['hold', 'place', 'globex', '--version', b, '--reason', 'x'],
    ['file', 'withdraw', '00000000-0000-4000-8000-000000000000', '--reason', 'x'],
  ]) {
    const done = await world.cofferctl(wrong);
    t.match([done.code, done.err.length > 20], [/^[235]$/, true], `${wrong.join(' ')}: ${done.err.trim()}`);
  }
});

test('a read counts when it was complete: halves, repeats of one half, and lost connections', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'r');
  writeFileSync(local, randomBytes(20 * 1024 ** 2));
  t.equal((await world.sftp('processor', [`put ${local} acme/collect/big`])).code, 0);
  t.equal((await world.cofferctl(['folder', 'set', 'acme', 'collect', '--reads', '1', '--reason', 'once'])).code, 0);
  const { SftpClient } = await import('../support/sftp-client.ts');
  const connect = () =>
    SftpClient.connect({
      port: world.demo.partner.port,
      username: 'acme-batch',
      privateKey: readFileSync(world.keyFile('acme-batch'), 'utf8'),
    });
  const first = await connect();
  const state = async (): Promise<string | undefined> => (await find(world, '/collect/big'))?.state;
  for (let i = 0; i < 2; i += 1) {
    const handle = await first.open('collect/big');
    await first.read(handle, 0, 1000);
    await first.close(handle);
  }
  t.equal(await state(), 'published', 'the first extent twice is no whole read');
  const ours = await world.sftp('processor', ['ls -l acme/collect/big']);
  t.equal(ours.code, 0);
  // The second extent is known to the same credential, but not through one handle together with the first.
  const tail = await first.open('collect/big');
  await first.read(tail, 17 * 1024 ** 2, 1000);
  await first.close(tail);
  t.equal(await state(), 'published', 'halves of two handles do not add up');
  const late = await connect();
  const open = await late.open('collect/big');
  await late.read(open, 0, 1000);
  const both = await first.open('collect/big');
  await first.read(both, 0, 1000);
  await first.read(both, 17 * 1024 ** 2, 1000);
  t.equal(await state(), 'published', 'not while it is open');
  first.destroy();
  t.ok(
    await holdsSoon(async () => (await state()) === 'withdrawn', patience),
    'a lost connection closes the handle: what was released counts as read',
  );
  // Somebody else has it open, and reads on after it has left the tree.
  await t.rejects(late.read(open, 17 * 1024 ** 2, 1000), 'nothing more of it is released');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  t.match(
    await world.cofferctlJson(['ledger', 'status']),
    { freeze: null },
    'and that is no reason to doubt the record',
  );
  t.notOk((await late.list('collect')).includes('big'), 'the session goes on, and the file is out of the tree');
  late.end();
});
