// A verdict of the standing verification reaches the record and those whom it alerts, whoever marks it meanwhile as
// recorded.
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { recordVerdicts, VerdictMemory } from '../../server/warden/ledger/verdicts.ts';
import { createTestDatabase } from '../support/database.ts';

test('marks of verdicts are not believed', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const report = (verdict: string): Promise<unknown> =>
    sql.query(
      "select ledger_report_verdict('checker', $1, 1, 1, 1, 'an entry is missing', 'full', null, null, null, null)",
      [verdict],
    );
  const alerts = () =>
    sql.query<{ subject: string; text: string; count: number }>(
      'select subject, text, count from alert order by subject',
    );
  const recorded = async (): Promise<readonly unknown[]> =>
    (
      await sql.query<{ verdict: string }>(
        "select sensitive->>'verdict' as verdict from ledger where kind = 'ledger.verified' order by id",
      )
    ).map((one) => one.verdict);
  const memory = new VerdictMemory();
  await report('good');
  await recordVerdicts(warden, { any: null, full: null }, memory);
  await recordVerdicts(warden, { any: null, full: null }, memory);
  t.same(await recorded(), ['good'], 'once');
  t.same(await alerts(), [], 'twin: an honest mark is no alarm');

  await sql.query('alter table ledger_verdict alter recorded_at set default clock_timestamp()');
  await report('bad');
  await sql.query('alter table ledger_verdict alter recorded_at drop default');
  await report('good');
  await recordVerdicts(warden, { any: null, full: null }, memory);
  t.same(await recorded(), ['good', 'bad', 'good'], 'a default of the mark keeps nothing back');
  t.match(await alerts(), [{ subject: 'checker', text: /does not verify: an entry is missing/, count: 1 }]);

  await report('bad');
  await sql.query('update ledger_verdict set recorded_at = clock_timestamp()');
  await recordVerdicts(warden, { any: null, full: null }, memory);
  t.same(await recorded(), ['good', 'bad', 'good', 'bad'], 'nor does a mark that somebody else made');
  t.match(await alerts(), [
    { subject: 'checker', count: 2 },
    { subject: 'checker, hidden', text: /was marked as recorded before it was/ },
  ]);
  await recordVerdicts(warden, { any: null, full: null }, memory);
  await recordVerdicts(warden, { any: null, full: null });
  t.equal(
    (await recorded()).length,
    4,
    'twin: nor is anything recorded twice, by this warden or by one that leads later',
  );
});

test('of verdicts that were recorded the newest thousand stay, and the last full one that said something', async (t) => {
  const sql = await createTestDatabase(t);
  const lie = (id: number, run: 'full' | 'since', verdict: string, isRecorded = true): Promise<unknown> =>
    sql.query(
      `insert into ledger_verdict (id, at, host, verdict, heads, entries, findings, text, run, since_head, since_entry, since_at, full_at, recorded_at)
       overriding system value
       select $1, n.t, 'checker', $2, 1, 1, 0, '', $3, s.n, s.n, s.t, s.t, case when $4 then n.t end
       from (select now() - interval '2 hours' + $1::bigint * interval '1 second' as t) n left join (select 1 as n, now() - interval '1 day' as t) s on $3 = 'since'`,
      [id, verdict, run, isRecorded],
    );
  const report = (): Promise<unknown> =>
    sql.query("select ledger_report_verdict('checker', 'good', 1, 1, 0, '', 'since', 1, 1, now(), now())");
  const left = async (): Promise<readonly number[]> =>
    (await sql.query<{ id: string }>('select id from ledger_verdict where id not between 17 and 1014 order by id')).map(
      (row) => Number(row.id),
    );
  await lie(10, 'full', 'good');
  await lie(11, 'full', 'incomplete');
  await lie(12, 'full', 'failed');
  await lie(13, 'since', 'good');
  await lie(14, 'since', 'bad', false);
  await lie(15, 'full', 'bad');
  await lie(16, 'since', 'good');
  await sql.query(
    `insert into ledger_verdict (id, at, host, verdict, heads, entries, findings, text, run, since_head, since_entry, since_at, full_at, recorded_at)
     overriding system value
     select i, n.t, 'checker', 'good', 1, 1, 0, '', 'since', 1, 1, n.t, n.t, n.t
     from generate_series(17, 1015) i, lateral (select now() - interval '2 hours' + i * interval '1 second' as t) n`,
  );
  // Whoever reports meets 1,015 as the newest: a thousand are newer than 15.
  await sql.query('alter table ledger_verdict alter id restart with 1016');
  await report();
  t.same(
    await left(),
    [11, 14, 15, 16, 1015, 1016],
    'a full run that failed or found something is not what later runs stand on',
  );
  await sql.query('update ledger_verdict set recorded_at = at');
  await report();
  t.same(
    await left(),
    [11, 16, 1015, 1016, 1017],
    'what waited for the record goes once it is there, and of a thousand and one the oldest',
  );
});
