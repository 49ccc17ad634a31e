// Rules that the database itself enforces, at their limits: when a window is open, what a credential is called, where a
// file may be, since when nobody holds an upload.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import type { AccountId, CustomerId, DirectoryId, FileId } from '../../server/domain/ids.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
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

test('of several open windows the one that closes last counts', async (t) => {
  const { sql, account } = await setUp(t);
  const open = (from: string, until: string): Promise<unknown> =>
    sql.query(
      "insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) values ($1, $2, $3, $4, 'x', 'r')",
      [randomUUID(), account, from, until],
    );
  const closes = async (at: string): Promise<string | undefined> =>
    (
      await sql.query<{ closes_at: Date }>('select closes_at from open_window($1, $2)', [account, at])
    )[0]?.closes_at.toISOString();
  await open('2026-11-24T08:00Z', '2026-11-24T16:00Z');
  await open('2026-11-24T10:00Z', '2026-11-24T18:00Z');
  await open('2026-11-24T11:00Z', '2026-11-24T12:00Z');
  t.equal(await closes('2026-11-24T09:00Z'), '2026-11-24T16:00:00.000Z', 'the first alone');
  t.equal(await closes('2026-11-24T11:30Z'), '2026-11-24T18:00:00.000Z', 'all three');
  t.equal(await closes('2026-11-24T17:00Z'), '2026-11-24T18:00:00.000Z');
  await sql.query(
    `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_from, valid_until, opened_by, reason)
     values ($1, $2, 'day', '{2}', '09:00', '20:00', 'UTC', '2026-11-01T00:00Z', '2026-12-01T00:00Z', 'x', 'r')`,
    [randomUUID(), account],
  );
  t.equal(await closes('2026-11-24T11:30Z'), '2026-11-24T20:00:00.000Z', 'and a standing one');
  t.equal(await closes('2026-11-25T11:30Z'), undefined, 'none');
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

test('a customer has several credentials when two could be used now: each condition by itself, beside its twin', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const bank = await Bank.create({ sql, warden }, 'acme', 1000);
  await bank.addReader();
  const has = async (): Promise<boolean | undefined> =>
    (await sql.query<{ has: boolean }>('select has_several_credentials($1) as has', [bank.id]))[0]?.has;
  t.equal(await has(), false, 'one');
  const { account, credential } = await bank.addReader();
  t.equal(await has(), true, 'two');
  /** Whether there are several when one row is changed like this; afterwards it is as it was. */
  const when = async (table: 'account' | 'credential', set: string): Promise<boolean | undefined> => {
    await sql.query('begin');
    try {
      // A credential is never rewritten; this stands for another row.
      await sql.query('set local session_replication_role = replica');
      await sql.query(`update ${table} set ${set} where id = $1`, [table === 'account' ? account : credential]);
      return await has();
    } finally {
      await sql.query('rollback');
    }
  };
  const [hourAgo, inAnHour] = ["clock_timestamp() - interval '1 hour'", "clock_timestamp() + interval '1 hour'"];
  const asPassword = "type = 'password', public_key = null, password_hash = 'x', fingerprint = 'password:abcdefgh'";
  for (const [table, one, twin] of [
    ['credential', "state = 'suspended'", "state = 'retiring'"],
    ['credential', `expires_at = ${hourAgo}`, `expires_at = ${inAnHour}`],
    ['credential', `valid_from = ${inAnHour}`, `valid_from = ${hourAgo}`],
    ['account', "state = 'suspended'", "state = 'active'"],
    ['account', `expires_at = ${hourAgo}`, `expires_at = ${inAnHour}`],
  ] as const)
    t.same([await when(table, one), await when(table, twin)], [false, true], `${table}: ${one}`);
  t.equal(await when('credential', asPassword), true, "a person's password is a credential of its own");
  await sql.query("update account set kind = 'machine' where id = $1", [account]);
  t.equal(await when('credential', asPassword), false, "a machine's password opens nothing alone");
  const { credential: successor } = await bank.addCredential(account);
  t.equal(await has(), true);
  await sql.query('update credential set successor_id = $2 where account_id <> $1', [account, successor]);
  await sql.query("update credential set state = 'suspended' where id = $1", [credential]);
  t.equal(await has(), false, 'a key and the one that replaces it are one');
  t.equal(await when('credential', "state = 'active'"), true, 'the twin');
  const { account: internal } = await bank.addReader({ isInternal: true });
  t.equal(await has(), true, 'one of our own systems that may read there counts');
  await sql.query('delete from folder_right where account_id = $1', [internal]);
  t.equal(await has(), false);
});
