// T-37: a database role can put nothing where a reader trusts it that would stop the reader: every column that it may
// write is tried with such values. And what the sealer does with an entry that it cannot read.
import pg from 'pg';
import { test } from 'tap';
import { recordCall } from '../../server/admin/calls/operator-queries.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { look } from '../../server/warden/ledger/seal-queries.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase, type Teardown } from '../support/database.ts';
import { TestSealer } from '../support/record.ts';

type Writable = { readonly role: string; readonly table: string; readonly column: string; readonly type: string };

async function client(t: Teardown, url: string): Promise<pg.Client> {
  const one = new pg.Client({ connectionString: url });
  await one.connect();
  t.teardown(() => one.end());
  return one;
}

/** Returns the SQLSTATE and the name of the constraint, or undefined when the statement succeeded. */
async function refusal(one: pg.Client, text: string, values: readonly unknown[] = []): Promise<string | undefined> {
  try {
    await one.query(text, values as unknown[]);
    return undefined;
  } catch (error) {
    const { code, constraint } = error as { code?: string; constraint?: string };
    return `${code} ${constraint ?? ''}`.trim();
  }
}

test('no database role can make tables or schemas: a table with the name of one of ours would be found before ours in every trigger', async (t) => {
  const sql = await createTestDatabase(t);
  for (const url of [sql.wardenUrl, sql.adminUrl]) {
    const one = await client(t, url);
    t.equal(
      await refusal(one, 'create temp table command (operator_id uuid, state text)'),
      '42501',
      'a temporary table',
    );
    t.equal(await refusal(one, 'create schema mine'), '42501', 'a schema');
    t.equal(await refusal(one, 'create table command_room (x int)'), '42501', 'a table beside ours');
  }
  const owner = await client(t, sql.migrateUrl);
  t.equal(
    await refusal(owner, 'create temp table command (operator_id uuid, state text)'),
    undefined,
    'the twin: whoever migrates',
  );
});

test('every instant that a database role may write is finite, and no number is NaN or infinite', async (t) => {
  const sql = await createTestDatabase(t);
  const owner = await client(t, sql.migrateUrl);
  const columns = await sql.query<Writable>(
    `select distinct p.grantee as role, p.table_name as table, p.column_name as column, c.data_type as type
     from information_schema.column_privileges p join information_schema.columns c using (table_schema, table_name, column_name)
     where p.table_schema = 'public' and p.grantee in ('cofferdam_warden', 'cofferdam_admin', 'cofferdam_auditor') and p.privilege_type in ('INSERT', 'UPDATE')
       and c.is_generated = 'NEVER'`,
  );
  t.ok(columns.length > 200, `${columns.length} columns may be written`);
  t.same(
    [
      ...new Set(
        columns.filter((one) => one.role !== 'cofferdam_warden').map((one) => `${one.role} ${one.table}.${one.column}`),
      ),
    ].sort(),
    [
      ...['id', 'operation', 'operator_id', 'params'].map((name) => `cofferdam_admin command.${name}`),
      ...['kind', 'observer', 'operator', 'sensitive'].map((name) => `cofferdam_admin ledger_fresh.${name}`),
    ],
    'besides the warden, only the admin process writes, and only this',
  );
  t.notOk(
    columns.some((one) => one.table === 'ledger_fresh' && ['id', 'at'].includes(one.column)),
    'nobody chooses number or time of an entry',
  );
  const odd: Readonly<Record<string, readonly string[]>> = {
    'timestamp with time zone': ['infinity', '10000-01-01', '4000-01-01 BC'],
    'double precision': ['NaN', 'Infinity'],
    real: ['NaN'],
    numeric: ['NaN'],
  };
  const tables = new Set(columns.map((one) => one.table));
  for (const table of tables) {
    await owner.query(
      `create temp table probe (like public.${table} including constraints including defaults excluding identity)`,
    );
    const { rows } = await owner.query<{ name: string }>(
      "select attname as name from pg_attribute where attrelid = 'probe'::regclass and attnum > 0 and attnotnull",
    );
    for (const { name } of rows) await owner.query(`alter table probe alter column "${name}" drop not null`);
    for (const { column, type } of columns.filter((one) => one.table === table))
      for (const value of odd[type] ?? [])
        t.match(
          await refusal(owner, `insert into probe ("${column}") values ($1)`, [value]),
          /^23514 \w+$/,
          `${table}.${column} is never ${value}`,
        );
    for (const { column, type } of columns.filter(
      (one) => one.table === table && one.type === 'timestamp with time zone',
    ))
      if (type in odd) {
        await owner.query('delete from probe');
        const said = await refusal(owner, `insert into probe ("${column}") values (clock_timestamp())`);
        t.notMatch(said ?? '', /_finite/, `${table}.${column} may be the present time`);
      }
    await owner.query('drop table probe');
  }
});

test('the database role of the admin process: no row that it writes stops the sealer, and it writes no column that is not its to choose', async (t) => {
  const sql = await createTestDatabase(t);
  const admin = await client(t, sql.adminUrl);
  const entry = (columns: string, values: string): string =>
    `insert into ledger_fresh (kind, observer, ${columns}) values ('operator.asked', 'admin', ${values})`;
  const long = "(select string_agg(md5(i::text), '') from generate_series(1, 200) i)";
  for (const [text, reason, what] of [
    [entry('at', "'infinity'"), '42501', 'an infinite time'],
    [entry('at', "'2001-01-01'"), '42501', 'another time'],
    [
      `insert into ledger_fresh (id, kind, observer) overriding system value values (9223372036854775807, 'operator.asked', 'admin')`,
      '42501',
      'a number that no reader holds',
    ],
    [entry('bytes', '9223372036854775807'), '42501', 'bytes'],
    [entry('customer_id', 'gen_random_uuid()'), '42501', 'a customer'],
    [entry('public', "'{}'"), '42501', 'what customers are shown'],
    [entry('operator', long), '23514 ledger_fresh_sealable', 'a name that is too long for an index'],
    [
      entry('sensitive', "jsonb_build_object('params', repeat('x', 2000000))"),
      '23514 ledger_fresh_sealable',
      'more than a reader takes',
    ],
    [`insert into ledger_fresh (kind, observer) values ('session.opened', 'admin')`, '42501', "somebody else's entry"],
    [
      `insert into command (id, operator_id, operation, params, created_at) values (gen_random_uuid(), gen_random_uuid(), 'x', '{}', 'infinity')`,
      '42501',
      'a command out of turn',
    ],
    [
      `insert into command (id, operator_id, operation, params) values (gen_random_uuid(), gen_random_uuid(), repeat('x', 65), '{}')`,
      '23514 command_bounds',
      'too long a name of an operation',
    ],
    [
      `insert into command (id, operator_id, operation, params) values (gen_random_uuid(), gen_random_uuid(), 'x', to_jsonb(repeat('x', 1050000)))`,
      '23514 command_bounds',
      'too large parameters',
    ],
    [
      `insert into command (id, operator_id, operation, params) values (gen_random_uuid(), gen_random_uuid(), 'x', '{}')`,
      '23503 command_operator_id_fkey',
      'an operator that does not exist',
    ],
    ['insert into ledger_quarantine (id, why) select id, kind from ledger_fresh', '42501', 'to set entries aside'],
    ['delete from ledger_fresh', '42501', 'to take entries out'],
    ["update ledger_fresh set kind = 'operator.answered'", '42501', 'to change entries'],
  ] as const)
    t.equal(await refusal(admin, text), reason, what);

  const asAdmin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  const asWarden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => Promise.all([asAdmin.close(), asWarden.close()]));
  const facts = { operator: 'alice', role: 'viewer', certificate: 'x', operation: 'status', params: {}, allowed: true };
  await asAdmin.withSystem((tx) => recordCall(tx, 'operator.asked', facts));
  t.equal(
    await refusal(admin, entry('sensitive', `'{"params": 1e400, "x": ${'['.repeat(500)}${']'.repeat(500)}}'`)),
    undefined,
    'odd, but it can be sealed',
  );
  await asWarden.withSystem((tx) => record(tx, { kind: 'upload.expired', observer: 'warden', public: {} }));
  const sealer = new Sealer(asWarden, createLogger({ log: { level: 'error', pretty: false } }, 'test'));
  const signing = await new TestSealer(asWarden).signing();
  t.match(
    await sealer.round(signing, { isSignDue: false, now: Date.now() }),
    { sealed: 3 },
    'the twin: what it may write is sealed',
  );
  t.same(await sql.query('select id from ledger_quarantine'), []);
});

test('an entry that cannot be read is set aside and reported, and those after it get their positions', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const write = (count: number): Promise<void> =>
    database.withSystem(async (tx) => {
      for (let i = 0; i < count; i += 1) await record(tx, { kind: 'upload.expired', observer: 'warden', public: {} });
    });
  // Only the database's owner gets such rows past the checks.
  await sql.query(
    'alter table ledger_fresh drop constraint ledger_fresh_finite, drop constraint ledger_fresh_sealable',
  );
  await write(30);
  await sql.query("insert into ledger_fresh (kind, observer, at) values ('ledger.odd', 'warden', 'infinity')");
  await write(30);
  await sql.query(
    "insert into ledger_fresh (kind, observer, operator) select 'ledger.odd', 'warden', string_agg(md5(i::text), '') from generate_series(1, 300) i",
  );
  await write(30);
  const signing = await new TestSealer(database).signing();
  const sealer = new Sealer(database, log);
  const seal = () => sealer.round(signing, { isSignDue: false, now: Date.now() });
  let sealed = 0;
  for (let i = 0; i < 40 && sealed < 92; i += 1) {
    const round = await seal();
    if (round === undefined) break;
    sealed += round.sealed;
  }
  t.equal(sealed, 92, 'all that can be read, and an entry about each of the two others');
  t.match(await sql.query('select why from ledger_quarantine order by id'), [
    { why: /infinit|out of range/ },
    { why: /index row/ },
  ]);
  t.match(await sql.query("select severity, count from alert where kind = 'ledger.unreadable'"), [
    { severity: 'critical', count: 2 },
  ]);
  t.equal((await sql.query('select 1 from ledger_fresh')).length, 2, 'they stay where they are');
  const seen = await database.withSystem(look);
  t.match(seen, { hasFresh: false, unsealedMs: 0 }, 'and nothing waits for its seal');

  // Whoever keeps writing such rows stops the service: it is the owner, and no accident.
  for (let i = 0; i < 20; i += 1)
    await sql.query("insert into ledger_fresh (kind, observer, at) values ('ledger.odd', 'warden', 'infinity')");
  await t.rejects(seal(), { message: /internal|infinit|out of range/ });
  t.equal((await sql.query('select 1 from ledger_quarantine')).length, 16);
});

test('a fault of the record itself sets no entry aside', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  await database.withSystem((tx) => record(tx, { kind: 'upload.expired', observer: 'warden', public: {} }));
  // A constraint of the record itself, which is no fault of an entry.
  await sql.query(
    'create function taken() returns trigger language plpgsql as $$ begin raise unique_violation; end $$',
  );
  await sql.query('create trigger taken before insert on ledger_sealed for each row execute function taken()');
  const sealer = new Sealer(database, createLogger({ log: { level: 'error', pretty: false } }, 'test'));
  const signing = await new TestSealer(database).signing();
  await t.rejects(sealer.round(signing, { isSignDue: false, now: Date.now() }), {
    message: /unique_violation|duplicate key|internal error/,
  });
  t.same(await sql.query('select id from ledger_quarantine'), []);
});
