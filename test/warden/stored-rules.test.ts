// Rules that the database itself enforces, at their limits: when a window is open, what a credential is called, where a
// file may be, since when nobody holds an upload.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

async function setUp(
  t: Test,
): Promise<{ readonly sql: TestDatabase; readonly customer: string; readonly account: string }> {
  const sql = await createTestDatabase(t);
  const [customer, account] = [randomUUID(), randomUUID()];
  await sql.query("insert into customer (id, name) values ($1, 'acme')", [customer]);
  await sql.query(
    "insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'batch', 'machine', 'partner')",
    [account, customer],
  );
  return { sql, customer, account };
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
  const [folder, there, gone, file] = Array.from({ length: 4 }, () => randomUUID());
  await sql.query("insert into folder (id, customer_id, name, direction) values ($1, $2, 'f', 'deposit')", [
    folder,
    customer,
  ]);
  for (const [id, name] of [
    [there, 'there'],
    [gone, 'gone'],
  ])
    await sql.query('insert into directory (id, customer_id, folder_id, name) values ($1, $2, $3, $4)', [
      id,
      customer,
      folder,
      name,
    ]);
  await sql.query('update directory set removed_at = now() where id = $1', [gone]);
  const put = (id: string | undefined, directory: string | undefined) =>
    sql.query(
      'insert into file (id, customer_id, folder_id, directory_id, name) values ($1, $2, $3, $4, $1::uuid::text)',
      [id, customer, folder, directory],
    );
  await put(file, there);
  const refused = { message: 'the directory is gone' };
  await t.rejects(put(randomUUID(), gone), refused, 'a new file');
  await t.rejects(
    sql.query('update file set directory_id = $2 where id = $1', [file, gone]),
    refused,
    'a file that is moved',
  );
  const below = (parent: string | undefined) =>
    sql.query(
      "insert into directory (id, customer_id, folder_id, parent_id, name) values (gen_random_uuid(), $1, $2, $3, 'd')",
      [customer, folder, parent],
    );
  await t.rejects(below(gone), refused, 'a directory');
  await t.resolves(below(there), 'the twin');
});

test('nobody holds an upload since it was last interrupted', async (t) => {
  const { sql, customer, account } = await setUp(t);
  const [key, folder, file, content, version] = Array.from({ length: 5 }, () => randomUUID());
  await sql.query("insert into customer_key values ($1, $2, '', 'k')", [key, customer]);
  await sql.query("insert into folder (id, customer_id, name, direction) values ($1, $2, 'f', 'deposit')", [
    folder,
    customer,
  ]);
  await sql.query("insert into file (id, customer_id, folder_id, name) values ($1, $2, $3, 'n')", [
    file,
    customer,
    folder,
  ]);
  await sql.query("insert into content (id, customer_id, customer_key_id, wrapped_key) values ($1, $2, $3, 'w')", [
    content,
    customer,
    key,
  ]);
  await sql.query(
    "insert into version (id, customer_id, file_id, number, content_id, state, account_id, session_id, node, upload_id) values ($1, $2, $3, 1, $4, 'partial', $5, $6, 'n', $7)",
    [version, customer, file, content, account, randomUUID(), randomUUID()],
  );
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
