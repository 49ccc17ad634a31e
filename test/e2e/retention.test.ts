// How long a version is visible, which reads count, and when its key is destroyed.
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

/** Sets the times of published versions back by so many days. Only the owner of the database can do that. */
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
  t.match([set.code, set.out], [0, /readsMax 2\n[\s\S]*windowDays 10\n[\s\S]*retentionDays 20\n/], set.err);

  const read = (name: string): Promise<{ code: number | null }> =>
    world.sftp('acme-batch', [`get collect/${name} ${got}`]);
  t.equal((await read('a')).code, 0);
  t.equal((await world.sftp('processor', ['ls acme/collect/a'])).code, 0);
  t.equal((await find(world, '/collect/a'))?.state, 'published', 'it was read once, and two reads are allowed');
  t.equal((await read('a')).code, 0);
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/a'))?.state === 'withdrawn', patience),
    'after the second read the file leaves the folder',
  );
  t.match(await find(world, '/collect/a'), { withdrawnWhy: 'reads' });
  t.equal((await read('a')).code, 1, 'and the file can no longer be read');
  t.notMatch((await world.sftp('acme-batch', ['ls collect'])).out, /collect\/a/);
  t.match((await world.sftp('acme-batch', ['ls collect'])).out, /collect\/b/, 'the other one stays');

  const a = (await find(world, '/collect/a'))?.version ?? '';
  const b = (await find(world, '/collect/b'))?.version ?? '';
  const released = await world.cofferctl(['file', 'release', a, '--days', '3', '--reason', 'lost its copy']);
  t.match([released.code, released.out], [0, /until 20/], released.err);
  t.equal((await read('a')).code, 0, 'an operator released the file again');
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
    'and the release is over as well',
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
  t.equal(objectsOf(world), 2, 'the objects of both files are in the store');
  await age(world, 10);
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/a'))?.state === 'destroyed', patience),
    'the retention of the file has ended',
  );
  t.equal((await find(world, '/collect/b'))?.state, 'withdrawn', 'the hold keeps the other file');
  const keys = await query<{ id: string; bytes: number; gone: boolean }>(
    world,
    'select v.id, octet_length(c.wrapped_key) as bytes, c.destroyed_at is not null as gone from version v join content c on c.id = v.content_id where v.id = any ($1::uuid[])',
    [[a, b]],
  );
  t.match(
    keys.find((one) => one.id === a),
    { bytes: 0, gone: true },
    'the key of the destroyed file is gone',
  );
  t.match(
    keys.find((one) => one.id === b),
    { gone: false },
    'the key of the held file is not',
  );
  t.ok(await holdsSoon(async () => objectsOf(world) === 1, patience), 'the object of the destroyed file is collected');
  const never = await world.cofferctl(['file', 'release', a, '--reason', 'please']);
  t.match([never.code, never.err], [5, /destroyed; nobody can read it again/]);
  t.equal(
    (await world.cofferctl(['file', 'release', b, '--days', '1', '--reason', 'the court asks'])).code,
    0,
    'a file under a hold can be released',
  );
  t.equal((await read('b')).code, 0);
  t.ok(readFileSync(got).equals(content), 'the file is whole');
  t.equal((await world.cofferctl(['file', 'withdraw', b, '--reason', 'done'])).code, 0);
  t.equal((await world.cofferctl(['hold', 'lift', hold.hold, '--reason', 'closed'])).code, 0);
  t.equal((await world.cofferctl(['hold', 'lift', hold.hold, '--reason', 'again'])).code, 3, 'a hold is lifted once');
  t.ok(
    await holdsSoon(async () => (await find(world, '/collect/b'))?.state === 'destroyed', patience),
    'when the hold is lifted, the file is destroyed',
  );
  t.ok(await holdsSoon(async () => objectsOf(world) === 0, patience), 'and no object of it is left');

  await t.rejects(
    query(world, "update version set state = 'published' where id = $1", [a]),
    /final/,
    'not even the owner of the database brings a destroyed file back',
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

test('a read counts when it was complete: half reads, repeated half reads, and lost connections', async (t) => {
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
  t.equal(await state(), 'published', 'two reads of the first extent are no complete read');
  const ours = await world.sftp('processor', ['ls -l acme/collect/big']);
  t.equal(ours.code, 0);
  // The keys of both extents were released to this credential, but not on one handle.
  const tail = await first.open('collect/big');
  await first.read(tail, 17 * 1024 ** 2, 1000);
  await first.close(tail);
  t.equal(await state(), 'published', 'reads on two handles do not add up to a complete read');
  const late = await connect();
  const open = await late.open('collect/big');
  await late.read(open, 0, 1000);
  const both = await first.open('collect/big');
  await first.read(both, 0, 1000);
  await first.read(both, 17 * 1024 ** 2, 1000);
  t.equal(await state(), 'published', 'the file stays while the handle is open');
  first.destroy();
  t.ok(
    await holdsSoon(async () => (await state()) === 'withdrawn', patience),
    'a lost connection closes the handle: what was released counts as read',
  );
  // Another session of the same account has the file open, and reads on after the file has left the folder.
  await t.rejects(late.read(open, 17 * 1024 ** 2, 1000), 'no further extent of the file is released');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  t.match(
    await world.cofferctlJson(['ledger', 'status']),
    { freeze: null },
    'and the refusal does not freeze the record',
  );
  t.notOk((await late.list('collect')).includes('big'), 'the session goes on, and the file is not in the folder');
  late.end();
});
