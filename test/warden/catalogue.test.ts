// Listing a large directory page by page, and when a directory is empty.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type AccountId, type DirectoryId, type FileId, idOf } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { isOccupied, listEntries, type VersionState } from '../../server/warden/catalogue/tree-queries.ts';
import { createTestDatabase } from '../support/database.ts';
import { addAccount, addCustomer, addCustomerKey, addDirectory, addFolder } from '../support/rows.ts';
import { Shelf } from '../support/shelf.ts';

test('10,000 names are listed page by page, in byte order, each once, without unpublished ones of others', async (t) => {
  const sql = await createTestDatabase(t);
  const customer = await addCustomer(sql, { name: 'acme' });
  const key = await addCustomerKey(sql, { customer });
  const mine = await addAccount(sql, { customer, name: 'mine' });
  const other = await addAccount(sql, { customer, name: 'other' });
  const folder = await addFolder(sql, { customer });
  await sql.query(
    "insert into file (id, customer_id, folder_id, name) select gen_random_uuid(), $1, $2, 'payment-' || lpad(i::text, 6, '0') from generate_series(1, 10000) i",
    [customer, folder],
  );
  await sql.query(
    "insert into content (id, customer_id, customer_key_id, wrapped_key) select id, $1, $2, 'w' from file",
    [customer, key],
  );
  const version = async (account: AccountId, state: string, where: string): Promise<void> => {
    await sql.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, sha256, account_id, session_id, node, closed_at, published_at, publish_at)
       select gen_random_uuid(), $1, id, 1, id, $2, sha256('x'), $3, gen_random_uuid(), 'n', now(), now(), now() from file where ${where}`,
      [customer, state, account],
    );
  };
  await version(mine, 'published', "name <= 'payment-009900'");
  await version(mine, 'settling', "name > 'payment-009900' and name <= 'payment-009950'");
  await version(other, 'settling', "name > 'payment-009950'");
  await addDirectory(sql, { customer, folder, name: 'payment-005000-dir' });
  await addDirectory(sql, { customer, folder, name: 'gone', removedAt: 'now()' });
  await sql.query('analyze');

  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const page = (account: AccountId, after: string): ReturnType<typeof listEntries> =>
    warden.withCustomers([customer], (tx) =>
      listEntries(tx, { folder, parent: null, view: 'place' }, account, after, 100),
    );
  const names: string[] = [];
  let slowest = 0;
  for (let after = ''; ; ) {
    const started = performance.now();
    const entries = await page(mine, after);
    slowest = Math.max(slowest, performance.now() - started);
    names.push(...entries.map((entry) => entry.name));
    const last = entries.at(-1);
    if (last === undefined || entries.length < 100) break;
    after = last.name;
  }
  t.comment(`slowest page ${slowest.toFixed(1)} ms`);
  t.equal(names.length, 9951, 'published ones, its own unpublished ones and the directory');
  t.same(names, [...names].sort(), 'in order');
  t.equal(new Set(names).size, names.length, 'each once');
  t.ok(slowest < 1000, 'no page takes long');
  await sql.query(
    `insert into done_file (account_id, version_id, customer_id)
     select $1, v.id, v.customer_id from version v join file f on f.id = v.file_id where f.name <= 'payment-005000'`,
    [mine],
  );
  const archived = await warden.withCustomers([customer], (tx) =>
    listEntries(tx, { folder, parent: null, view: 'archive' }, mine, 'payment-004990', 100),
  );
  t.same(
    archived.map((entry) => entry.name),
    [...Array.from({ length: 10 }, (_, i) => `payment-00${4991 + i}`), 'payment-005000-dir'],
    'its archive has what it is done with, and all directories',
  );
  t.same(
    (await page(mine, '')).slice(0, 2).map((entry) => entry.name),
    ['payment-005000-dir', 'payment-005001'],
  );
  t.equal((await page(other, '')).length, 100, 'nobody else sees a difference');
  t.equal((await page(other, 'payment-009900')).length, 50, 'the other account sees its own unpublished ones instead');
});

test('a directory is empty when nothing in it can be seen or finished any more', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const make = (parent: DirectoryId | null): Promise<DirectoryId> =>
    addDirectory(sql, { customer: shelf.customer, folder: shelf.folder, parent });
  const isFull = (id: DirectoryId): Promise<boolean> => warden.database.withSystem((tx) => isOccupied(tx, id));
  const expected: Readonly<Record<VersionState, boolean>> = {
    partial: true,
    held: true,
    settling: true,
    published: true,
    withdrawn: false,
    discarded: false,
    destroyed: false,
  };
  for (const [state, isIn] of Object.entries(expected)) {
    const [directory, file] = [await make(null), idOf<FileId>(randomUUID())];
    const one = await shelf.add(1, file);
    await sql.query('update file set directory_id = $2 where id = $1', [file, directory]);
    await shelf.become(one, state);
    t.equal(await isFull(directory), isIn, `a file that is ${state}`);
  }
  const outer = await make(null);
  t.notOk(await isFull(outer), 'nothing');
  const inner = await make(outer);
  t.ok(await isFull(outer), 'a directory');
  await sql.query('update directory set removed_at = now() where id = $1', [inner]);
  t.notOk(await isFull(outer), 'one that is gone');
});
