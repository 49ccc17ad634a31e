// Rules that the database itself enforces, at their limits: when a window is open, what a credential is called, where a
// file may be, since when nobody holds an upload.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import type { AccountId, CustomerId, DirectoryId, FileId } from '../../server/domain/ids.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  addAccount,
  addContent,
  addCustomer,
  addCustomerKey,
  addDirectory,
  addFile,
  addFolder,
  addVersion,
} from '../support/rows.ts';

async function setUp(
  t: Test,
): Promise<{ readonly sql: TestDatabase; readonly customer: CustomerId; readonly account: AccountId }> {
  const sql = await createTestDatabase(t);
  const customer = await addCustomer(sql, { name: 'acme' });
  return { sql, customer, account: await addAccount(sql, { customer, name: 'batch' }) };
}

test('a window is open from its beginning up to its end, and not at its end', async (t) => {
  const { sql, account } = await setUp(t);
  const isOpen = async (at: string): Promise<boolean> =>
    (await sql.query('select from open_window($1, $2::timestamptz)', [account, at])).length === 1;
  await sql.query(
    "insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) values ($1, $2, '2026-11-24T08:00Z', '2026-11-24T16:00Z', 'x', 'r')",
    [randomUUID(), account],
  );
  for (const [at, open] of [
    ['2026-11-24T07:59:59.999999Z', false],
    ['2026-11-24T08:00Z', true],
    ['2026-11-24T15:59:59.999999Z', true],
    ['2026-11-24T16:00Z', false],
  ] as const)
    t.equal(await isOpen(at), open, at);
  await sql.query('update activation_window set closed_at = opens_at, closes_at = closes_at');
  t.equal(await isOpen('2026-11-24T12:00Z'), false, 'closed before its end');

  await sql.query(
    `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_from, valid_until, opened_by, reason)
     values ($1, $2, 'night', '{2}', '22:00', '02:00', 'UTC', '2026-11-10T23:00Z', '2026-11-25T01:00Z', 'x', 'r')`,
    [randomUUID(), account],
  );
  // Tuesdays: 10, 17 and 24 November.
  for (const [at, open] of [
    ['2026-11-10T22:59:59Z', false],
    ['2026-11-10T23:00Z', true],
    ['2026-11-11T01:59:59Z', true],
    ['2026-11-11T02:00Z', false],
    ['2026-11-11T22:30Z', false],
    ['2026-11-17T21:59:59Z', false],
    ['2026-11-17T22:00Z', true],
    ['2026-11-18T00:00Z', true],
    ['2026-11-25T00:59:59Z', true],
    ['2026-11-25T01:00Z', false],
  ] as const)
    t.equal(await isOpen(at), open, `standing, ${at}`);
});

test('what a credential is called', async (t) => {
  const { sql } = await setUp(t);
  const state = async (
    stored: string,
    from: string,
    until: string,
    used: string | null,
    woken: string | null,
  ): Promise<string | undefined> =>
    (
      await sql.query<{ state: string }>(
        `select credential_state($1, now() + $2::interval, now() + $3::interval, now() + $4::interval, now() + $5::interval, 86400000) as state`,
        [stored, from, until, used, woken],
      )
    )[0]?.state;
  const [ago, ahead, hour] = ['-2 days', '2 days', '-1 hour'];
  const cases: readonly (readonly [
    wanted: string,
    stored: string,
    from: string,
    until: string,
    used: string | null,
    woken: string | null,
  ])[] = [
    ['active', 'active', ago, ahead, hour, null],
    ['retiring', 'retiring', ago, ahead, hour, null],
    ['dormant', 'active', ago, ahead, null, null],
    ['dormant', 'active', ago, ahead, ago, null],
    ['active', 'active', ago, ahead, ago, hour],
    ['dormant', 'active', ago, ahead, ago, ago],
    ['active', 'active', hour, ahead, null, null],
    ['pending', 'active', ahead, '3 days', null, null],
    ['expired', 'active', ago, hour, hour, null],
    ['suspended', 'suspended', ago, hour, null, null],
    ['revoked', 'revoked', ahead, ahead, null, null],
  ];
  for (const [wanted, ...facts] of cases) t.equal(await state(...facts), wanted, facts.join());
});

test('nothing can be put into a directory that is gone', async (t) => {
  const { sql, customer } = await setUp(t);
  const folder = await addFolder(sql, { customer });
  const there = await addDirectory(sql, { customer, folder, name: 'there' });
  const gone = await addDirectory(sql, { customer, folder, name: 'gone' });
  await sql.query('update directory set removed_at = now() where id = $1', [gone]);
  const put = (directory: DirectoryId): Promise<FileId> => addFile(sql, { customer, folder, directory });
  const file = await put(there);
  const refused = { message: 'the directory is gone' };
  await t.rejects(put(gone), refused, 'a new file');
  await t.rejects(
    sql.query('update file set directory_id = $2 where id = $1', [file, gone]),
    refused,
    'a file that is moved',
  );
  const below = (parent: DirectoryId) => addDirectory(sql, { customer, folder, parent, name: 'd' });
  await t.rejects(below(gone), refused, 'a directory');
  await t.resolves(below(there), 'the twin');
});

test('nobody holds an upload since it was last interrupted', async (t) => {
  const { sql, customer, account } = await setUp(t);
  await addCustomerKey(sql, { customer });
  const file = await addFile(sql, { customer, folder: await addFolder(sql, { customer }) });
  const content = await addContent(sql, { customer });
  await addVersion(sql, { customer, file, content, state: 'partial', account, upload: randomUUID() });
  const agoSeconds = async (): Promise<number | null> =>
    (
      await sql.query<{ s: number | null }>(
        'select extract(epoch from clock_timestamp() - let_go_at)::int as s from version',
      )
    )[0]?.s ?? null;
  const letGo = () => sql.query('update version set upload_id = null');
  t.equal(await agoSeconds(), null, 'somebody holds it');
  await letGo();
  t.ok(Number(await agoSeconds()) < 600);
  await sql.query("update version set let_go_at = clock_timestamp() - interval '9 days'");
  const take = (more = '') =>
    sql.query(`update version set upload_id = gen_random_uuid(), resumed_bytes = size${more}`);
  const add = () => sql.query('update version set size = size + 1');
  await take();
  await add();
  await letGo();
  t.ok(Number(await agoSeconds()) < 600, 'the second time counts, not the first');
  await sql.query("update version set let_go_at = clock_timestamp() - interval '9 days'");
  await take();
  await letGo();
  t.ok(Number(await agoSeconds()) > 86_400, 'one to whom no byte was added lies there as long as before');
  await take();
  await add();
  await take();
  await letGo();
  t.ok(Number(await agoSeconds()) < 600, 'what was added before another handle took it counts');
});
