// Tables of months are made ahead, dropped, and missed, while somebody reads the record without an end: nobody waits,
// and what is sealed is in a month that stays.

import pg from 'pg';
import { type Test, test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';
import { makeMonthsAhead, monthsAhead } from '../../server/warden/ledger/months.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { longAgo, sealLongAgo, witnessAll } from '../support/long-ago.ts';
import { TestSealer, writeEntries } from '../support/record.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } } as Config, 'test');

async function recordWorld(t: Test) {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const sealer = new TestSealer(database);
  const signing = await sealer.signing();
  const leader = new Sealer(database, log);
  return { sql, database, signing, seal: () => leader.round(signing, { isSignDue: false, now: Date.now() }) };
}

/**
 * Somebody in the middle of a long report: every month is locked as readers lock it, until the returned function is
 * called.
 */
async function reading(t: Test, sql: TestDatabase, mode = 'access share'): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: sql.migrateUrl });
  client.on('error', () => {});
  await client.connect();
  t.teardown(() => client.end());
  await client.query('begin');
  await client.query('select count(*) from ledger_sealed');
  if (mode !== 'access share') await client.query(`lock table ledger_sealed in ${mode} mode`);
  return async () => {
    await client.query('rollback');
  };
}

const tableOf = async (sql: TestDatabase, months: number): Promise<string> =>
  (
    await sql.query<{ name: string }>(
      "select 'ledger_sealed_' || to_char(date_trunc('month', clock_timestamp() at time zone 'utc') + $1 * interval '1 month', 'YYYYMM') as name",
      [months],
    )
  )[0]?.name ?? '';
const isThere = async (sql: TestDatabase, months: number): Promise<boolean> =>
  (
    await sql.query(
      "select 1 from pg_inherits where inhparent = 'ledger_sealed'::regclass and inhrelid = to_regclass($1)",
      [await tableOf(sql, months)],
    )
  ).length === 1;
const without = async (sql: TestDatabase, months: number): Promise<unknown> =>
  sql.query(`drop table ${await tableOf(sql, months)}`);
const count = async (sql: TestDatabase, text: string): Promise<number> =>
  Number((await sql.query<{ n: string }>(`select count(*) as n from ${text}`))[0]?.n);

test('the coming months have tables, made beside a reader and beside a round of sealing', async (t) => {
  const { sql, database, seal } = await recordWorld(t);
  for (let n = -1; n <= monthsAhead; n += 1)
    t.ok(await isThere(sql, n), `month ${n} from now has a table from the start`);
  await without(sql, monthsAhead);
  const done = await reading(t, sql);
  await makeMonthsAhead(database);
  t.ok(await isThere(sql, monthsAhead), 'it is made while somebody reads');
  await writeEntries(sql, null, 3);
  t.match(await seal(), { sealed: 3 }, 'and sealing goes on');
  await done();
  const facts = await sql.query<{ wrong: string }>(
    `select c.relname || ' has no policy, is not forced or not insert only' as wrong from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ledger_sealed'::regclass
       and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p where p.polrelid = c.oid) and exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'ledger_is_insert_only'))`,
  );
  t.same(facts, [], 'each of them is guarded as the first one');
  t.equal(await count(sql, "pg_constraint where conname = 'ledger_month_bounds'"), 0);
});

test('a missing month is an alarm and one short attempt outside the round, never a queue behind a reader', async (t) => {
  const { sql, seal } = await recordWorld(t);
  await without(sql, 0);
  const done = await reading(t, sql);
  await writeEntries(sql, null, 3);
  t.match(await seal(), { sealed: 3 }, 'it is made beside the reader, and the round goes on');
  t.match(await sql.query("select severity, text from alert where kind = 'ledger.month-missing'"), [
    { severity: 'critical', text: /no table for/ },
  ]);
  await done();
  // Somebody holds a lock that is needed to make a table.
  await without(sql, 0);
  await writeEntries(sql, null, 3);
  const free = await reading(t, sql, 'share row exclusive');
  await t.rejects(seal(), { code: 'unavailable' }, 'the try ends by itself');
  t.notOk(await isThere(sql, 0));
  await free();
  t.match(await seal(), { sealed: 3 }, 'twin: with the lock free it goes on');
});

test('an entry with a time at which it was not written is set aside, and one of the last weeks is sealed', async (t) => {
  const { sql, seal } = await recordWorld(t);
  const write = (at: string) =>
    sql.query(
      `insert into ledger_fresh (at, kind, observer) select clock_timestamp() ${at}, 'file.published', 'warden'`,
    );
  await write("- interval '26 days 23 hours'");
  await write("+ interval '59 days 23 hours'");
  await write("- interval '27 days 1 minute'");
  await write("- interval '14 months'");
  await write("+ interval '60 days 1 minute'");
  await write("- interval '1 second'");
  let sealed = 0;
  for (let i = 0; i < 12; i += 1) sealed += (await seal())?.sealed ?? 0;
  t.equal(sealed, 6, 'the usual ones are sealed, and an entry about each of the others');
  const why = (await sql.query<{ why: string }>('select why from ledger_quarantine order by id')).map((row) => row.why);
  t.match(why, [/more than 27 days before now/, /more than 27 days before now/, /more than 60 days after now/]);
  t.match(
    await sql.query("select text from alert where kind = 'ledger.unreadable'"),
    [{ text: /more than (27 days before|60 days after) now/ }],
    'the alarm names the bound',
  );
  t.notOk(await isThere(sql, -14), 'and no table was made for them');
});

test('a month leaves between readers, and never makes anybody wait behind one', async (t) => {
  const { sql, database, seal, signing } = await recordWorld(t);
  const archiveDirectory = `${temporaryDirectory(t)}/archive`;
  const options = { config: { archiveDirectory, onlineMonths: 2, retentionMonths: 60, forwards: [] }, database, log };
  await sql.query(
    `insert into ledger_fresh (at, kind, observer) select ${longAgo(4)}, 'file.published', 'warden' from generate_series(1, 10)`,
  );
  await sealLongAgo(database, sql, signing, 4);
  await archiveDue(options);
  await seal();
  await witnessAll(sql);
  const done = await reading(t, sql);
  const attempt = archiveDue(options);
  await writeEntries(sql, null, 3);
  t.match(await seal(), { sealed: 3 }, 'sealing goes on beside the reader and the try');
  t.match(
    await attempt,
    [{ step: 'read-again', why: /read without a pause/, isFailure: false }],
    'the try ends, and says why',
  );
  t.ok(await isThere(sql, -4));
  t.equal(await count(sql, 'ledger_leaf'), 0, 'and left nothing behind');
  await done();
  t.same(await archiveDue(options), [], 'between two readers it leaves');
  t.notOk(await isThere(sql, -4));
});
