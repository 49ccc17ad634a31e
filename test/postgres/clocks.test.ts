// What decides reads the clock, and not the time at which its transaction began: it may have waited for locks since.
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';

/** The time of the transaction or of the statement: both may be before the locks. */
const early =
  /\b(?:now\s*\(\s*\)|current_timestamp|transaction_timestamp|statement_timestamp|localtimestamp|current_date|current_time|localtime)\b|\bnow\s*\(\s*\)|'(?:now|today)'/i;
/** Here the question is really whether an entry came since this transaction began. */
const asksForItsTransaction = new Set(['version_end_is_recorded']);
const withoutComments = (text: string): string => text.replace(/--[^\n]*/g, '').replace(/\/\*[\s\S]*?\*\//g, '');

test('no function, default, constraint or policy of the schema uses the time at which its transaction began', async (t) => {
  const sql = await createTestDatabase(t);
  const bodies = await sql.query<{ what: string; body: string }>(
    `select p.proname as what, coalesce(pg_get_functiondef(p.oid), '') as body from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
     union all select d.adrelid::regclass || '.' || a.attname, pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
     union all select c.conname, pg_get_constraintdef(c.oid) from pg_constraint c where c.connamespace = 'public'::regnamespace
     union all select p.polname, coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') from pg_policy p
     union all select t.tgname, pg_get_triggerdef(t.oid) from pg_trigger t where not t.tgisinternal`,
  );
  t.ok(bodies.length > 100, `${bodies.length} texts`);
  for (const name of ['charge_batch', 'pace', 'turn_budget', 'take_guess', 'budget_use', 'could_have_moved'])
    t.ok(
      bodies.some(({ what }) => what === name),
      `${name} is among them`,
    );
  for (const name of asksForItsTransaction)
    t.match(
      bodies.find(({ what }) => what === name)?.body,
      /at >= transaction_timestamp\(\)/,
      `${name} asks for nothing else`,
    );
  for (const { what, body } of bodies)
    if (!asksForItsTransaction.has(what)) t.notMatch(withoutComments(body), early, what);
});

test('the search finds every spelling', async (t) => {
  for (const text of [
    'now()',
    'select NOW ( )',
    'current_timestamp',
    'statement_timestamp()',
    "'now'::timestamptz",
    'CURRENT_DATE',
  ])
    t.match(withoutComments(text), early, text);
  for (const text of ['clock_timestamp()', '-- never now()', 'know()', 'moment now_at', 'now_minute'])
    t.notMatch(withoutComments(text), early, text);
});

test("a day has 24 hours, and texts have one form, whatever time zone and style the server's machine has", async (t) => {
  const sql = await createTestDatabase(t);
  const [named] = await sql.query<{ name: string }>('select current_database() as name');
  // Debian's packages use the time zone of the machine.
  await sql.query(`alter database ${named?.name} set timezone = 'Europe/Berlin'`);
  await sql.query(`alter database ${named?.name} set datestyle = 'German'`);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'zone', connectionsMax: 1 });
  t.teardown(() => database.close());
  const text = `select extract(epoch from timestamptz '2027-03-28 12:00:00+00' - (timestamptz '2027-03-28 12:00:00+00' - interval '1 day'))::int as day,
    timestamptz '2027-06-01 12:00:00+00' as at, timestamptz '2027-06-01 12:00:00+00'::text as shown, date_trunc('day', timestamptz '2027-06-01 23:00:00+00') as began`;
  const expected = [
    {
      day: 86_400,
      at: new Date('2027-06-01T12:00:00Z'),
      shown: '2027-06-01 12:00:00+00',
      began: new Date('2027-06-01T00:00:00Z'),
    },
  ];
  t.same(await database.withSystem((tx) => tx.query(text)), expected, 'in a transaction');
  t.same(await database.call(text, []), expected, 'in a call');
});
