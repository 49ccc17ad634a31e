// T-35: a batch of charges waits for the rows of all its items. What delays a customer of one plane delays nobody on
// the other plane.
import pg from 'pg';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { createCharges } from '../../server/warden/budgets/charges.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import type { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';

test('while the rows of a customer are locked, sessions of the other plane are charged', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const [acme, globex] = [await Bank.create(given, 'acme', 1000), await Bank.create(given, 'globex', 1000)];
  const [partner, internal] = [await acme.addReader(), await globex.addReader({ isInternal: true })];
  const config = {
    log: { level: 'error', pretty: false },
    database: { wardenUrl: sql.wardenUrl },
    limits: { slowdownPatienceMs: 1000, unpaidEntriesAtOnce: 100, unpaidEntriesPerMinute: 100 },
    credentials: { dormantDays: 90, dayMs: 86_400_000 },
  } as unknown as Config;
  const sessions = {} as SessionRegistry;
  const charges = createCharges({
    config,
    database: warden,
    sessions,
    log: createLogger(config, 'warden'),
    admit: undefined,
  });
  t.teardown(() => charges.stop());
  const sessionOf = (reader: Reader, plane: 'partner' | 'internal'): OpenSession =>
    ({
      id: reader.session,
      node: 'n',
      account: { id: reader.account, name: plane, plane },
      credentialId: reader.credential,
    }) as unknown as OpenSession;
  const [theirs, ours] = [sessionOf(partner, 'partner'), sessionOf(internal, 'internal')];
  const one = { bytes: 100, items: 1 };

  const owner = new pg.Client({ connectionString: sql.migrateUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query('set idle_in_transaction_session_timeout = 0');
  await owner.query('begin');
  await owner.query('select 1 from budget where customer_id = $1 for update', [acme.id]);
  let isCharged = false;
  const waits = charges.take(theirs, acme.id, 'in', one).then(() => {
    isCharged = true;
  });
  const paced = charges.permit(theirs, acme.id, 'in', 1000);
  const end = performance.now() + 20_000;
  for (
    let waiting = 0;
    waiting === 0 && performance.now() < end;
    await new Promise((resolve) => setTimeout(resolve, 10))
  ) {
    const [row] = await sql.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and application_name like 'cofferdam charges%'",
    );
    waiting = row?.n ?? 0;
  }
  const patience = new Promise<string>((resolve) => setTimeout(() => resolve('still waits'), 20_000).unref());
  const served = Promise.all([
    charges.take(ours, globex.id, 'in', one),
    charges.permit(ours, globex.id, 'in', 1000),
  ]).then(() => 'served');
  t.equal(await Promise.race([served, patience]), 'served', 'the other plane');
  t.equal(isCharged, false, 'while the first one waits');
  await owner.query('rollback');
  await Promise.all([waits, paced, served]);
  t.equal(isCharged, true, 'and is charged in the end');
  const rows = await sql.query("select sum(total_bytes)::int as total from budget where direction = 'in' and rank = 3");
  t.same(rows, [{ total: 200 }], 'once each');
});
