// A verdict of the standing verification reaches the record and whoever is woken by it, whoever says meanwhile that it did.
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { recordVerdicts } from '../../server/warden/ledger/verdicts.ts';
import { createTestDatabase } from '../support/database.ts';

test('marks of verdicts are not believed', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const report = (verdict: string): Promise<unknown> =>
    sql.query("select ledger_report_verdict('checker', $1, 1, 1, 1, 'an entry is missing', 'full', null, null, null, null)", [verdict]);
  const alerts = () =>
    sql.query<{ subject: string; text: string; count: number }>('select subject, text, count from alert order by subject');
  const recorded = async (): Promise<readonly unknown[]> =>
    (
      await sql.query<{ verdict: string }>("select sensitive->>'verdict' as verdict from ledger where kind = 'ledger.verified' order by id")
    ).map((one) => one.verdict);
  const memory = { newest: null };
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
  t.equal((await recorded()).length, 4, 'twin: nor is anything recorded twice, by this warden or by one that leads later');
});
