// T-29: a refusal is repeated for a moment to whoever asks for as much of the same again; never for another customer,
// nor for less.
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import type { CustomerId } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Database } from '../../server/postgres/database.ts';
import type { Refusal } from '../../server/warden/budgets/charge-queries.ts';
import { createCharges } from '../../server/warden/budgets/charges.ts';
import { createRefusalDesk } from '../../server/warden/budgets/refusals.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import type { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { addRight } from '../support/rows.ts';

const day = 86_400_000;

test('what one customer’s cap refuses is served for another in the same session, and less than was refused is asked for', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const acme = await Bank.create(given, 'acme', 1000);
  const globex = await Bank.create(given, 'globex', 1000);
  const reader = await acme.addReader({ isInternal: true });
  await addRight(sql, { account: reader.account, customer: globex.id, folder: globex.folder });
  await sql.query(
    `insert into budget (rank, credential_id, account_id, customer_id, plane, direction, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent)
     select rank, credential_id, account_id, $2, plane, direction, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent
     from budget where account_id = $1`,
    [reader.account, globex.id],
  );
  await sql.query(
    "update budget set cap_hour_items = 1 where account_id = $1 and customer_id = $2 and direction = 'list'",
    [reader.account, acme.id],
  );
  await sql.query(
    "update budget set cap_hour_bytes = 1000 where account_id = $1 and customer_id = $2 and direction = 'in'",
    [reader.account, acme.id],
  );
  const config = {
    log: { level: 'error', pretty: false },
    database: { wardenUrl: sql.wardenUrl },
    limits: { slowdownPatienceMs: 1000 },
    credentials: { dormantDays: 90, dayMs: day },
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
  const name = (bank: Bank, text: string) => ({ id: bank.id, name: text, folders: [] });
  const session = {
    id: reader.session,
    node: 'n',
    account: { id: reader.account, name: 'processor', kind: 'machine', plane: 'internal' },
    credentialId: reader.credential,
    customers: [name(acme, 'acme'), name(globex, 'globex')],
  } as unknown as OpenSession;
  const list = (customer: CustomerId): Promise<void> => charges.take(session, customer, 'list', { bytes: 0, items: 1 });
  const put = (customer: CustomerId, bytes: number): Promise<void> =>
    charges.take(session, customer, 'in', { bytes, items: 0 });
  const refused = { code: 'over-limit', message: /^COFFERDAM-BUDGET-HOUR-/ };

  await list(acme.id);
  await t.rejects(list(acme.id), refused);
  await t.rejects(list(acme.id), refused, 'told again');
  await t.resolves(list(globex.id), 'another bank is served');
  await t.rejects(put(acme.id, 1001), refused);
  await t.rejects(put(acme.id, 2000), refused, 'told again, for more');
  await t.resolves(put(acme.id, 1000), 'what fits is taken');
  await t.resolves(
    charges.take(session, acme.id, 'in', { bytes: 0, items: 1 }),
    'and a cap of bytes says nothing about files',
  );
  const files = (items: number): Promise<void> => charges.take(session, acme.id, 'in', { bytes: 0, items });
  await sql.query(
    "update budget set cap_hour_items = 3 where account_id = $1 and customer_id = $2 and direction = 'in'",
    [reader.account, acme.id],
  );
  await t.rejects(files(3), refused);
  await t.rejects(files(4), refused, 'told again, for more of them');
  await t.resolves(files(2), 'fewer of them fit');
  t.equal((await sql.query('select distinct subject from alert')).length, 3, 'one alert for each cap');
});

test('an alarm that could not be written counts as not raised: the next refusal raises it', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const acme = await Bank.create(given, 'acme', 1000);
  const reader = await acme.addReader();
  let isAway = true;
  const database = {
    withSystem: async <T>(work: Parameters<typeof warden.withSystem<T>>[0]): Promise<T> => {
      if (isAway) throw new Error('the database is away');
      return warden.withSystem(work);
    },
  } as unknown as Database;
  const desk = createRefusalDesk({ database, dormantMs: 90 * day, endSessions: async () => {}, onFault: () => {} });
  const session = {
    id: reader.session,
    node: 'n',
    account: { id: reader.account, name: 'acme-batch', kind: 'machine', plane: 'partner' },
    credentialId: reader.credential,
    customers: [{ id: acme.id, name: 'acme', folders: [] }],
  } as unknown as OpenSession;
  const [budget] = await sql.query<{ id: number }>(
    "select id from budget where rank = 2 and account_id = $1 and direction = 'list'",
    [reader.account],
  );
  const refusal: Refusal = {
    outcome: 'over-limit',
    budget: budget?.id ?? 0,
    scope: 'account',
    customer: acme.id,
    direction: 'list',
    unit: 'items',
    window: 'hour',
    cap: 1,
    freeAt: null,
  };
  const asked = { key: 'a name', amount: { bytes: 0, items: 1 } };
  const counts = async (): Promise<readonly unknown[]> =>
    (await sql.query<{ kind: string; count: number }>('select kind, count::int as count from alert order by kind')).map(
      (row) => [row.kind, row.count],
    );
  await t.rejects(desk.settle(session, refusal, asked), /the database is away/);
  t.equal(desk.recall(asked), undefined, 'nobody is told of a refusal that is not on record');
  await t.rejects(desk.slowed(session, acme.id), /the database is away/);
  isAway = false;
  t.match(await desk.settle(session, refusal, asked), { code: 'over-limit' });
  await desk.slowed(session, acme.id);
  const once = [
    ['budget.refused', 1],
    ['budget.slowed', 1],
  ];
  t.same(await counts(), once);
  await desk.settle(session, refusal, asked);
  await desk.slowed(session, acme.id);
  t.same(await counts(), once, 'the twin: what was raised a moment ago is counted with the next one');
});
