// T-36: a cap that operators narrowed does not come back as wide as it was given at first, because somebody deletes its
// row before a warden starts. A missing budget grants nothing, and two operators set it anew; one that nobody had
// changed is made again.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, type FolderId, idOf } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { completeBudgets, createBudgets, watchMissing } from '../../server/warden/budgets/create-budgets.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { insertFolder } from '../../server/warden/folders/folder-queries.ts';
import { insertRight } from '../../server/warden/folders/right-queries.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { brokenSeals } from '../../server/warden/seals/broken-seals.ts';
import { generationsOf } from '../../server/warden/seals/generations.ts';
import { firstBroken, sealing } from '../../server/warden/seals/seals.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { twoOfficers } from '../support/agreed.ts';
import { Bank, startBankDatabase, wideBudgets } from '../support/bank.ts';
import { doingOf } from '../support/doing.ts';
import { addRight } from '../support/rows.ts';
import { startSealBench } from '../support/seal-bench.ts';

const useCases = useCasesOf({ found: undefined });

const reason = 'x';

async function setUp(t: Test) {
  const { sql, warden: bench, config } = await startSealBench(t);
  const { database } = bench;
  const log = createLogger({ log: { level: 'silent', pretty: false } } as never, 'warden');
  const wardenOf = (keys: Warden['keys']): Warden =>
    ({ database, keys, log, budgets: wideBudgets }) as unknown as Warden;
  const warden = wardenOf(bench.keys);
  const officers = await twoOfficers(bench);
  const [customer, account, folder] = [
    idOf<CustomerId>(randomUUID()),
    idOf<AccountId>(randomUUID()),
    idOf<FolderId>(randomUUID()),
  ];
  const as = <T>(maker: 'operator' | 'console', work: (tx: Transaction) => Promise<T>): Promise<T> =>
    database.withSystem((tx) => sealing(tx, warden, { maker, change: () => null }, () => work(tx)));
  await as('operator', async (tx) => {
    await insertCustomer(tx, customer, 'acme');
    await insertFolder(tx, {
      id: folder,
      customer,
      name: 'deposit',
      direction: 'deposit',
      publishRule: 'on-close',
      marker: '.done',
      readsMax: null,
      settleMs: 0,
      windowDays: null,
      retentionDays: null,
      replaceAllowed: false,
      directoriesAllowed: true,
    });
    await createBudgets(tx, { kind: 'customer', customer }, wideBudgets);
  });
  await officers.account({
    id: account,
    name: 'north',
    customer,
    kind: 'machine',
    plane: 'partner',
    contact: null,
    isDemo: false,
    manages: false,
  });
  await officers.doing(
    { operation: 'account.create', params: { name: 'north', kind: 'machine', plane: 'partner' } },
    async (tx) => {
      await insertRight(tx, account, customer, folder, ['list']);
      await createBudgets(tx, { kind: 'account', account, customer, isInternal: false }, wideBudgets);
    },
  );
  /** As a warden that starts now, and knows what the record says. */
  const start = async (): Promise<Warden> => {
    const fresh = wardenOf(createKeyRing(config));
    await database.withSystem((tx) => generationsOf(fresh.keys).refresh(tx));
    await database.withSystem((tx) =>
      sealing(tx, fresh, { maker: 'start', change: () => null }, () => completeBudgets(tx, fresh.keys, wideBudgets)),
    );
    return fresh;
  };
  type Wish = Parameters<(typeof useCases)['budget.set']>[0];
  const doing = (tx: Transaction, of: Warden, change: string | null): Doing =>
    doingOf(of, tx, change, {
      widen: (wider) => {
        if (change === null && wider.length > 0) throw new Error(`this would widen ${wider.join()}`);
      },
    });
  const set = (wish: Wish, of = warden) => as('operator', (tx) => useCases['budget.set'](wish, doing(tx, of, null)));
  const agree = (wish: Wish, of: Warden) =>
    database.withSystem(async (tx) => {
      const id = await officers.change(tx, { operation: 'budget.set', params: wish });
      return sealing(tx, of, { maker: 'operator', change: () => id }, () =>
        useCases['budget.set'](wish, doing(tx, of, id)),
      );
    });
  const owner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('set session_replication_role = origin');
  };
  const rows = (direction = 'out') =>
    sql.query<{ id: string; cap: number }>(
      'select id::text, cap_hour_items::int8 as cap from budget where rank = 3 and customer_id = $1 and direction = $2',
      [customer, direction],
    );
  const alarms = async (): Promise<readonly string[]> =>
    (await sql.query<{ text: string }>("select text from alert where kind = 'budget.missing' order by text")).map(
      (one) => one.text,
    );
  const isGood = async (of: Warden, id: string): Promise<boolean> =>
    (await database.withSystem((tx) => firstBroken(tx, of.keys, [{ kind: 'budget', id }]))) === undefined;
  const broken = async (of: Warden): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const row of brokenSeals(of)) found.push(`${row.kind}/${row.id}`);
    return found;
  };
  return { sql, warden, database, config, customer, account, start, set, agree, owner, rows, alarms, isGood, broken };
}

const tight = { scope: { kind: 'customer', customer: 'acme' }, direction: 'out', items: { hour: 7 }, reason } as const;
const gone = (customer: string, direction: string): readonly string[] => [
  `delete from seal where kind = 'budget' and row_id in (select id::text from budget where rank = 3 and customer_id = '${customer}' and direction = '${direction}')`,
  `delete from budget where rank = 3 and customer_id = '${customer}' and direction = '${direction}'`,
];

test('a narrowed cap does not come back at a start after its row was deleted', async (t) => {
  const { sql, warden, customer, start, set, agree, owner, rows, alarms, isGood, broken } = await setUp(t);
  await start();
  await set(tight);
  const [narrow] = await rows();
  t.equal(narrow?.cap, 7, 'narrowed by one');
  await owner(...gone(customer, 'out'));
  await watchMissing(warden);
  t.match(
    await alarms(),
    [/the budget of customer acme for direction out is missing: somebody deleted it/],
    'the regular pass says so',
  );
  await sql.query('delete from alert');

  const second = await start();
  t.same(await rows(), [], 'no row was made');
  const [alert] = await sql.query<{ next_command: string }>(
    "select next_command from alert where kind = 'budget.missing'",
  );
  t.equal(
    alert?.next_command,
    'cofferctl budget set --customer acme --direction out --files-day N --reason TEXT',
    'the way back',
  );
  t.equal((await alarms()).length, 1);
  await t.rejects(
    set(tight, second),
    { message: /this would widen the missing budget of customer acme \(direction out\)/ },
    'not by one',
  );
  await agree({ ...tight, items: { hour: 9 } }, second);
  const [anew] = await rows();
  t.equal(anew?.cap, 9, 'two set it anew');
  t.ok(await isGood(second, anew?.id ?? ''));
  const third = await start();
  t.same([await rows(), await broken(third)], [[anew], []], 'and it stays as they set it, for whoever starts');

  // The older one, as it was, with its seal: it is no longer the newest of its place.
  await owner(...gone(customer, 'out'));
  const fourth = await start();
  t.same(await rows(), [], 'nor does it come back when that one is deleted, though nobody changed it since');
  t.ok(
    (await broken(fourth)).every((one) => one === `budget/${anew?.id}`),
    'nothing else is altered',
  );
});

test('the twins: a budget that nobody had changed is made with its defaults, and so is a new one', async (t) => {
  const { sql, customer, start, set, owner, rows, alarms, broken } = await setUp(t);
  const first = await start();
  t.equal(
    (await sql.query('select 1 from budget where rank >= 4')).length,
    9,
    'the first start makes those of planes and gateway',
  );
  await set(tight);
  await owner(...gone(customer, 'in'));
  const second = await start();
  t.match(await rows('in'), [{ cap: wideBudgets.customer.in.files.hour }], 'a row beside the narrowed one');
  t.equal((await rows())[0]?.cap, 7, 'which stays');
  t.same([await alarms(), await broken(second), await broken(first)], [[], [], []]);
});

test('a default that took the place of a narrowed cap, while its entry was hidden, is invalid once the entry is there again', async (t) => {
  const { sql, customer, start, set, owner, rows, isGood, broken } = await setUp(t);
  await start();
  await set(tight);
  const rename = (from: string, to: string): Promise<void> =>
    owner(
      ...['ledger_fresh', 'ledger_sealed'].map((table) => `update ${table} set kind = '${to}' where kind = '${from}'`),
    );
  await rename('rows.resealed', 'rows.hidden');
  await owner(...gone(customer, 'out'));
  const deceived = await start();
  const [wide] = await rows();
  t.equal(wide?.cap, wideBudgets.customer.out.files.hour, 'deceived');
  t.ok(await isGood(deceived, wide?.id ?? ''), 'as long as it is hidden');
  await rename('rows.hidden', 'rows.resealed');
  t.ok((await broken(deceived)).includes(`budget/${wide?.id}`), 'the next pass ends what relies on it');
  t.notOk(await isGood(deceived, wide?.id ?? ''), 'and no login does');
  t.same(
    await sql.query("select 1 from budget where rank = 3 and direction = 'list' and customer_id = $1", [customer]),
    [{ '?column?': 1 }],
  );
});

test('for entries that say no scope, a budget that does not exist may be any that is missing', async (t) => {
  const { customer, start, set, owner, rows, alarms } = await setUp(t);
  await start();
  await set(tight);
  await owner(
    "update ledger_fresh set sensitive = jsonb_set(sensitive, '{rows}', (select jsonb_agg(r - 4) from jsonb_array_elements(sensitive -> 'rows') r)) where kind = 'rows.resealed'",
    ...gone(customer, 'in'),
  );
  await start();
  t.equal((await rows('in')).length, 1, 'while it is there, others are made');
  await owner(...gone(customer, 'out'), ...gone(customer, 'in'));
  await start();
  t.same([await rows('out'), await rows('in')], [[], []], 'none of those that are missing');
  t.equal((await alarms()).length, 2);
});

test('each budget that is not there is named by its scope and direction, and none that is', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const banks = [await Bank.create(given, 'acme', 1), await Bank.create(given, 'globex', 1)] as const;
  for (const bank of banks) await bank.addReader();
  const ours = await banks[0].addReader({ isInternal: true });
  // Our own account has a budget at each customer whose folders it reaches.
  await addRight(sql, { account: ours.account, customer: banks[1].id, folder: banks[1].folder });
  type Missing = {
    readonly scope: string;
    readonly id: string | null;
    readonly customer: string | null;
    readonly direction: string;
  };
  const missing = (): Promise<readonly Missing[]> =>
    sql.query<Missing>(`select scope, coalesce(plane, id::text, customer_id::text) as id, case scope when 'account' then customer_id end as customer, direction from missing_budgets()
      order by direction`);
  t.same(
    await missing(),
    ['in', 'list', 'out'].map((direction) => ({
      scope: 'account',
      id: ours.account,
      customer: banks[1].id,
      direction,
    })),
    'at the second customer, though it has one at the first',
  );
  await warden.withSystem((tx) =>
    createBudgets(tx, { kind: 'account', account: ours.account, customer: banks[1].id, isInternal: true }, wideBudgets),
  );
  t.same(await missing(), [], 'all are there');
  const budgets = await sql.query<Missing & { readonly row: string }>(
    `select id::text as row, (array['credential', 'account', 'customer', 'plane', 'gateway'])[rank] as scope,
       case rank when 1 then credential_id::text when 2 then account_id::text when 3 then customer_id::text when 4 then plane end as id,
       case rank when 2 then customer_id end as customer, direction from budget`,
  );
  t.equal(budgets.length, 3 * (3 + 4 + 2 + 2 + 1), 'keys, accounts at customers, customers, planes and the gateway');
  for (const { row, ...one } of budgets) {
    await sql.query('begin');
    await sql.query('delete from budget where id = $1', [row]);
    t.same(await missing(), [one], `${one.scope} ${one.direction}`);
    await sql.query('rollback');
  }
});
