// Rows of verdicts that nobody reported, whatever their numbers and times are, do not keep a bad verdict off the
// record, and do not hide from operators that the standing verification is silent. And of verdicts that were reported:
// a run over what is new says nothing of old entries, and an incomplete verdict after a good one raises one alert.
import { type Test, test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { recordVerdicts, VerdictMemory } from '../../server/warden/ledger/verdicts.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

type World = {
  readonly sql: TestDatabase;
  readonly warden: Database;
  report(verdict: string, run?: 'full' | 'since'): Promise<unknown>;
  alerts(): Promise<readonly { readonly subject: string; readonly severity: string; readonly text: string }[]>;
  recorded(): Promise<readonly string[]>;
};

async function makeWorld(t: Test): Promise<World> {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  return {
    sql,
    warden,
    report: (verdict, run = 'full') =>
      sql.query(
        `select ledger_report_verdict('checker', $1, 1, 1, 1, 'an entry is missing', $2, since, since, at, at)
         from (select case when $2 = 'since' then 1 end as since, case when $2 = 'since' then clock_timestamp() end as at) x`,
        [verdict, run],
      ),
    alerts: () => sql.query('select subject, severity, text from alert order by subject'),
    recorded: async () =>
      (
        await sql.query<{ verdict: string }>(
          "select sensitive->>'verdict' as verdict from ledger where kind = 'ledger.verified' order by id",
        )
      ).map((one) => one.verdict),
  };
}

const never = { any: null, full: null };
const plant = (at: string, more = ''): string =>
  `insert into ledger_verdict (id, at, host, verdict, heads, entries, findings, text, run${more === '' ? '' : ', recorded_at'}) overriding system value
     select 8000000000000000 + i, ${at}, 'checker', 'good', 1, 1, 0, '', 'full'${more} from generate_series(1, $1::int) i`;

test('a verdict with a large number hides none that comes after it', async (t) => {
  const { sql, warden, report, alerts, recorded } = await makeWorld(t);
  const memory = new VerdictMemory();
  await report('good');
  await recordVerdicts(warden, never, memory);
  await sql.query(plant('clock_timestamp()'), [1]);
  await recordVerdicts(warden, never, memory);
  t.same(await alerts(), [], 'twin: a row like another is no alarm');
  await report('bad');
  await sql.query('update ledger_verdict set recorded_at = clock_timestamp() where recorded_at is null');
  await recordVerdicts(warden, never, memory);
  t.same(await recorded(), ['good', 'good', 'bad']);
  t.match(await alerts(), [{ subject: 'checker', text: /does not verify/ }, { subject: 'checker, hidden' }]);
  await recordVerdicts(warden, never, memory);
  await recordVerdicts(warden, never);
  t.equal((await recorded()).length, 3, 'and each is recorded once');
});

test('no number of other rows holds a bad verdict up', async (t) => {
  const { sql, warden, report, alerts } = await makeWorld(t);
  await sql.query(plant('clock_timestamp()'), [60]);
  await t.rejects(report('good'), 'twin: of one kind there are at most sixty an hour');
  await report('bad');
  await recordVerdicts(warden, never, new VerdictMemory());
  t.match(await alerts(), [{ subject: 'checker', severity: 'critical', text: /does not verify/ }]);
});

test('verdicts of the future stop neither a real one nor the alarm of silence, and are an alarm themselves', async (t) => {
  const { sql, warden, report, alerts } = await makeWorld(t);
  await sql.query(
    "insert into ledger_head (position, at, number, secret, map_root, epoch, trees) values (0, clock_timestamp() - interval '40 days', 0, sha256('x'), sha256('x'), 0, '')",
  );
  await recordVerdicts(warden, { any: 24, full: 26 }, new VerdictMemory());
  t.match(
    await alerts(),
    [
      { subject: 'ledger', text: /for 960 h/ },
      { subject: 'whole ledger', text: /for 960 h/ },
    ],
    'twin: no row says anything',
  );
  await sql.query('delete from alert');
  // These rows are marked as recorded, as if an earlier leading warden had recorded them.
  await sql.query(plant("timestamptz '2400-01-01'", ', clock_timestamp()'), [60]);
  const memory = new VerdictMemory();
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.match(await alerts(), [{ subject: 'ledger' }, { subject: 'whole ledger' }], 'nor did these');
  await sql.query('delete from alert');
  await report('good');
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.same(await alerts(), [], 'twin: a real one can be told, and is heard');
  await sql.query("update ledger_verdict set at = at - interval '90 days' where id < 1000");
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.same(
    await alerts(),
    [],
    'how long ago it was said is measured by the clock of this process, whatever becomes of its row',
  );
  await sql.query(plant("timestamptz '2400-01-01'").replace('+ i', '+ 100 + i'), [1]);
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.match(await alerts(), [{ subject: 'checker, planted', severity: 'critical' }]);
});

test('a run that reads only what is new says nothing of old entries', async (t) => {
  const { warden, report, alerts } = await makeWorld(t);
  const memory = new VerdictMemory();
  const hoursMs = (hours: number): number => hours * 3_600_000;
  memory.hear(hoursMs(30), hoursMs(30));
  await report('good', 'since');
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.match(await alerts(), [{ subject: 'whole ledger', text: /verified the whole record, old entries too, for 30 h/ }]);
  t.equal((await alerts()).length, 1, 'something was verified');
  await report('good');
  t.ok((memory.heard?.full ?? 0) < performance.now() - hoursMs(29));
  await recordVerdicts(warden, { any: 24, full: 26 }, memory);
  t.ok(
    (memory.heard?.full ?? 0) > performance.now() - hoursMs(1),
    'the twin: a full run counts as having verified old entries',
  );
});

test('a verdict that was good and is incomplete now is told once', async (t) => {
  const { warden, report, alerts } = await makeWorld(t);
  const memory = new VerdictMemory();
  for (const verdict of ['incomplete', 'incomplete', 'failed', 'incomplete']) {
    await report(verdict);
    await recordVerdicts(warden, never, memory);
  }
  t.same(await alerts(), [], 'twin: where it was never good, nothing changed');
  for (const verdict of ['good', 'failed']) await report(verdict);
  await recordVerdicts(warden, never, memory);
  t.same(await alerts(), []);
  await report('incomplete');
  // A warden that has just begun to lead knows it from the rows.
  await recordVerdicts(warden, never, new VerdictMemory());
  t.match(await alerts(), [
    { subject: 'checker, incomplete', severity: 'warning', text: /was verified as good before, and is not complete/ },
  ]);
});
