// An alert is in the log of the process that raises it, whatever the database says.
import { Writable } from 'node:stream';
import pino from 'pino';
import { type Test, test } from 'tap';
import type { Logger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { insertAlert, type NewAlert } from '../../server/warden/alerts/alert-queries.ts';
import { AlertLog } from '../../server/warden/alerts/sinks/log-sink.ts';
import { createTestDatabase } from '../support/database.ts';
import { addAccount, addCustomer } from '../support/rows.ts';

const alertOf = (subject: string, more: Partial<NewAlert> = {}): NewAlert => ({
  kind: 'ledger.entry-missed',
  severity: 'critical',
  subject,
  text: `it is about ${subject}`,
  facts: { subject },
  nextCommand: 'cofferctl ledger status',
  ...more,
});

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  /** One warden: its pool, its log, and what it logged since the last question. */
  const wardenOf = () => {
    let lines: string[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push((JSON.parse(chunk.toString('utf8')) as { msg: string }).msg);
        done();
      },
    });
    const alerts = new AlertLog(pino({ base: null }, stream) as Logger);
    const database = new Database({
      url: sql.wardenUrl,
      applicationName: 'test',
      connectionsMax: 2,
      alerts: alerts.hear,
    });
    t.teardown(() => database.close());
    return {
      database,
      raise: (alert: NewAlert): Promise<void> => database.withSystem((tx) => insertAlert(tx, alert)),
      pass: (): Promise<void> => alerts.pass(database),
      said: (): readonly string[] => {
        const since = lines;
        lines = [];
        return since;
      },
      alerts,
    };
  };
  return { sql, wardenOf, warden: wardenOf() };
}

test('an alarm is logged once, by the process that raises it, and the pass marks its row', async (t) => {
  const { sql, warden, wardenOf } = await setUp(t);
  await warden.raise(alertOf('one'));
  t.same(warden.said(), ['it is about one'], 'as soon as it is raised');
  t.match(await sql.query('select logged_at from alert'), [{ logged_at: null }]);
  await warden.pass();
  await warden.raise(alertOf('one'));
  t.same(warden.said(), [], 'and not again within its hour');
  t.match(await sql.query('select logged_at, count from alert'), [{ logged_at: Date, count: 2 }]);
  t.match(warden.alerts.metrics, [{}, {}, { labels: { severity: 'critical' }, value: 1 }]);

  await sql.query(
    "insert into alert (kind, severity, subject, hour, text, facts, next_command) values ('x', 'notice', 'x', now(), 'of the admin process', '{}', 'x')",
  );
  const other = wardenOf();
  await other.pass();
  await warden.pass();
  t.same(
    [...other.said(), ...warden.said()],
    ['of the admin process'],
    'what another process left in the database: by one warden',
  );

  await t.rejects(
    warden.database.withSystem(async (tx) => {
      await insertAlert(tx, alertOf('undone'));
      throw new Error('undone');
    }),
    /undone/,
  );
  await warden.database.withSystem(async (tx) => {
    await tx.query('savepoint plan');
    await insertAlert(tx, alertOf('planned'));
    await tx.query('rollback to savepoint plan');
  });
  t.same(warden.said(), [], 'nothing of what was undone, or was a plan');
});

test('the database does not decide whether an alarm is logged', async (t) => {
  const { sql, warden } = await setUp(t);
  await sql.query('alter table alert alter logged_at set default clock_timestamp()');
  await warden.raise(alertOf('a default'));
  t.same(warden.said(), ['it is about a default'], 'a default of the mark');
  t.match(await sql.query('select logged_at from alert'), [{ logged_at: null }], 'and it is not even used');

  await sql.query(
    `insert into alert (kind, severity, subject, hour, text, facts, next_command, logged_at) values ('ledger.entry-missed', 'critical', 'planted', date_trunc('hour', clock_timestamp()), 'x', '{}', 'x', now())`,
  );
  await warden.raise(alertOf('planted'));
  t.same(warden.said(), ['it is about planted'], 'a row that was there already, with its mark');

  const hidden = async (body: string, subject: string): Promise<readonly string[]> => {
    await sql.query(`create or replace function hides() returns trigger language plpgsql as $$ begin ${body} end $$`);
    await sql.query('create or replace trigger hides before insert on alert for each row execute function hides()');
    await warden.raise(alertOf(subject));
    return warden.said();
  };
  t.match(await hidden('new.logged_at := clock_timestamp(); return new;', 'marked'), [
    /an alert is hidden: the database marked it as logged before it was/,
    'it is about marked',
  ]);
  t.match(await hidden('return null;', 'gone'), [
    /an alert is hidden: the database made no row of it/,
    'it is about gone',
  ]);
});

test('what a self-test provokes is still no alarm', async (t) => {
  const { sql, warden } = await setUp(t);
  const customer = await addCustomer(sql, { name: 'acme' });
  const selfTest = { customer, name: 'acme', kind: 'person', contact: 'who@acme', isSelfTest: true } as const;
  const account = await addAccount(sql, selfTest);
  await warden.raise(alertOf('of a test', { customer, account }));
  t.same(warden.said(), []);
  t.same(await sql.query('select 1 from alert'), []);
  await sql.query('update account set is_self_test = false');
  await warden.raise(alertOf('of a test', { customer, account }));
  t.same(warden.said(), ['it is about of a test'], 'twin: of any other account');
});
