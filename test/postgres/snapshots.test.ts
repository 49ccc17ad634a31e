// Snapshots of the database that several readers share, and those that were forgotten.
import pg from 'pg';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { assertSafeSettings } from '../../server/postgres/migrate.ts';
import type { Snapshot } from '../../server/postgres/snapshot.ts';
import { createTestDatabase } from '../support/database.ts';
import { addCustomer } from '../support/rows.ts';

test('a forgotten snapshot is named; idle transactions must have an end', async (t) => {
  const sql = await createTestDatabase(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'admin', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const old = (): Promise<readonly { who: string }[]> =>
    admin.withSystem((tx) => tx.query("select who from old_snapshots(1) where who like '%forgotten%'"));
  t.same(await old(), [], 'none');
  const forgotten = new pg.Client({ connectionString: sql.migrateUrl, application_name: 'forgotten' });
  await forgotten.connect();
  await forgotten.query('begin isolation level repeatable read');
  await forgotten.query('select count(*) from budget');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  t.match(
    await old(),
    [{ who: /forgotten/ }],
    'the database role of the admin process sees it, though it is another user',
  );
  await forgotten.query('rollback');
  t.same(await old(), [], 'gone');

  const assert = (): Promise<void> =>
    assertSafeSettings({ query: async (text, values) => (await forgotten.query(text, values as unknown[])).rows });
  await forgotten.query("set idle_in_transaction_session_timeout = '10s'");
  await assert();
  for (const value of ['0', '2min']) {
    await forgotten.query(`set idle_in_transaction_session_timeout = '${value}'`);
    await t.rejects(assert(), /idle_in_transaction_session_timeout must be set/, value);
  }
  await forgotten.end();
});

test('two readers of one snapshot see the same; when one fails, the other is stopped; whichever is ready first waits', async (t) => {
  const sql = await createTestDatabase(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'admin', connectionsMax: 3 });
  t.teardown(() => admin.close());
  const options = { timeoutMs: 60_000, workMemory: '256MB', signal: new AbortController().signal } as const;
  const count = async (snapshot: Snapshot): Promise<unknown> =>
    (await snapshot.query<{ n: number }>('select count(*)::int as n, pg_backend_pid() as pid from customer'))[0];
  const seen = await admin.withSnapshot(options, async (snapshot) => {
    const before = await count(snapshot);
    await addCustomer(sql, { name: 'came-later' });
    return [before, ...(await snapshot.beside(count, count))] as { n: number; pid: number }[];
  });
  t.same(
    seen.map((one) => one.n),
    [0, 0, 0],
    'what was committed meanwhile is in neither',
  );
  t.equal(new Set(seen.map((one) => one.pid)).size, 2, 'over two connections');
  t.match(await admin.withSnapshot(options, count), { n: 1 }, 'twin: a new look sees it');

  const endless = async (snapshot: Snapshot): Promise<number> =>
    snapshot.each('select i from generate_series(1, 100000000) i, pg_sleep(0.01)', [], () => {});
  const fails = async (snapshot: Snapshot): Promise<unknown> => snapshot.query('select 1 / (select 0)');
  const started = performance.now();
  for (const [mine, theirs] of [
    [endless, fails],
    [fails, endless],
  ] as const)
    await t.rejects(
      admin.withSnapshot(options, (snapshot) => snapshot.beside<unknown, unknown>(mine, theirs)),
      { cause: { code: '22012' } },
      'the fault is told, not what followed from it',
    );
  const giveUp = new AbortController();
  setTimeout(() => giveUp.abort(new Error('nobody waits')), 200);
  await t.rejects(
    admin.withSnapshot({ ...options, signal: giveUp.signal }, (snapshot) => snapshot.beside(endless, endless)),
    { cause: { code: '57014' } },
    'given up from outside',
  );
  t.ok(performance.now() - started < 40_000, 'long before they would have ended');
  t.match(await admin.withSnapshot(options, count), { n: 1 }, 'and every connection is free again');

  // Not one connection more: stopping needs none of these.
  const patient = new Database({ url: sql.adminUrl, applicationName: 'patient', connectionsMax: 2 });
  t.teardown(() => patient.close());
  // Longer than any other transaction of ours may be idle.
  const slow = async (snapshot: Snapshot): Promise<unknown> => snapshot.query('select pg_sleep(12)');
  await patient.withSnapshot(options, async (snapshot) => {
    await snapshot.beside(count, slow);
    t.match(await count(snapshot), { n: 1 }, 'who was ready first is still there');
  });
  await t.rejects(
    patient.withSnapshot(options, (snapshot) => snapshot.beside<unknown, unknown>(endless, fails)),
    { cause: { code: '22012' } },
    'though every connection is taken',
  );
});

test('instants of rows that are handed over are text in UTC, wherever the server is', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query(
    "do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Asia/Kolkata'); execute format('alter database %I set datestyle = %L', current_database(), 'German'); end $$",
  );
  const admin = new Database({ url: sql.adminUrl, applicationName: 'admin', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const options = { timeoutMs: 60_000, workMemory: '256MB', signal: new AbortController().signal } as const;
  const instants = [
    '2026-11-20 10:00:00',
    '2026-11-20 10:00:00.1',
    '2026-11-20 23:59:59.999999',
    '2024-02-29 00:00:00.012',
    '1969-12-31 23:59:59.5',
    '0001-01-01 00:00:00',
  ];
  const given = [instants.map((one) => `${one}+00`)];
  const all = (values: readonly unknown[]): Promise<readonly unknown[]> =>
    admin.withSnapshot(options, async (snapshot) => {
      const seen: unknown[] = [];
      await snapshot.each<{ at: string }>(
        'select at from unnest($1::timestamptz[]) with ordinality u(at, i) order by i',
        values,
        ({ at }) => seen.push(at),
      );
      return seen;
    });
  t.same(await all(given), [
    '2026-11-20T10:00:00.000Z',
    '2026-11-20T10:00:00.100Z',
    '2026-11-20T23:59:59.999Z',
    '2024-02-29T00:00:00.012Z',
    '1969-12-31T23:59:59.500Z',
    '0001-01-01T00:00:00.000Z',
  ]);
  for (const odd of ['infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '12026-01-01 00:00:00+00'])
    await t.rejects(all([[odd]]), /not an instant/, `${odd} is no time of an entry`);
  t.same(await all([[null]]), [null]);
});
