// T-36: operators name rows, and the owner of the database can give rows other names. Then, what makes or widens
// something is refused, with an alert; what takes something away is carried out. What a node made for its self-test has
// no name that an operator could use (T-20).
import { createHash, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, type FolderId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { insertFolder } from '../../server/warden/folders/folder-queries.ts';
import { relyOnFound } from '../../server/warden/seals/declared.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { ensureCustomer } from '../../server/warden/self-test/self-test-queries.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { doingOf } from '../support/doing.ts';
import { startSealBench } from '../support/seal-bench.ts';

const useCases = useCasesOf({ found: undefined });

const accountOf = (name: string, customer: CustomerId) =>
  ({
    id: idOf<AccountId>(randomUUID()),
    name,
    customer,
    kind: 'machine',
    plane: 'partner',
    contact: null,
    isDemo: false,
    manages: false,
  }) as const;
const reason = 'x';
const networks = ['192.0.2.0/24'];

async function setUp(t: Test) {
  const bench = await startSealBench(t);
  const { sql } = bench;
  const credentials = { dayMs: 86_400_000, hoursPerDay: 24, lifeDays: 300, lifeMaxDays: 400, overlapDays: 2 };
  const warden = { ...bench.warden, ages: credentials, edges: [], budgets: wideBudgets } as unknown as Warden;
  const run = <T>(maker: 'operator' | 'self-test', work: (tx: Transaction) => Promise<T>): Promise<T> =>
    warden.database.withSystem((tx) => sealing(tx, warden, { maker, change: () => null }, () => work(tx)));
  const acme = idOf<CustomerId>(randomUUID());
  await run('operator', async (tx) => {
    await insertCustomer(tx, acme, 'acme');
    await createBudgets(tx, { kind: 'customer', customer: acme }, wideBudgets);
    await insertFolder(tx, {
      id: idOf<FolderId>(randomUUID()),
      customer: acme,
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
  });
  const officers = await twoOfficers(bench.warden);
  for (const name of ['north', 'south']) {
    const account = accountOf(name, acme);
    await officers.account(account);
    await run('operator', (tx) =>
      createBudgets(tx, { kind: 'account', account: account.id, customer: acme, isInternal: false }, wideBudgets),
    );
  }
  await run('self-test', async (tx) => {
    const own = await ensureCustomer(tx, 'self-test.n.partner');
    await createBudgets(tx, { kind: 'customer', customer: own.id }, wideBudgets);
  });
  /** As an operator's command, or a console's: the maker says what it may make without a second operator. */
  const doing = <T>(work: (given: Doing) => Promise<T>): Promise<T> =>
    warden.database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'console', change: () => null }, () =>
        work(
          doingOf(warden, tx, null, {
            widen: (wider) => {
              if (wider.length > 0) relyOnFound(tx);
            },
          }),
        ),
      ),
    );
  const swap = async (): Promise<void> => {
    for (const [from, to] of [
      ['north', 'between'],
      ['south', 'north'],
      ['between', 'south'],
    ])
      await sql.query('update account set name = $2 where name = $1', [from, to]);
  };
  return { sql, doing, swap };
}

const password = () => ({
  account: 'north',
  name: `password:${randomUUID()
    .replace(/[^a-f]/g, '')
    .padEnd(8, 'a')
    .slice(0, 8)}`,
  digest: createHash('sha256').update('x').digest('hex'),
});

test('an account that was given the name of another gets nothing, and loses what is taken away', async (t) => {
  const { sql, doing, swap } = await setUp(t);
  for (const name of ['north', 'south'])
    await doing((given) => useCases['account.set']({ name, networks, reason }, given));
  const makes: readonly (readonly [string, (given: Doing) => Promise<unknown>])[] = [
    ['a password', (given) => useCases['password.issue'](password(), given)],
    ['a window', (given) => useCases['window.open']({ account: 'north', hours: 1, reason }, given)],
    [
      'an end that is taken back',
      (given) => useCases['account.expire']({ name: 'north', inDays: null, reason }, given),
    ],
    [
      'a wider cap',
      (given) =>
        useCases['budget.set'](
          { scope: { kind: 'account', account: 'north' }, direction: 'out', items: { hour: 2 ** 50 }, reason },
          given,
        ),
    ],
  ];
  for (const [what, make] of makes) await t.resolves(doing(make), `${what}, for the account of this name`);
  await swap();
  const altered = { code: 'denied', message: /account .* was altered before/ };
  for (const [what, make] of makes) await t.rejects(doing(make), altered, `${what}, for the one that was given it`);
  const ticket = (given: Doing) => useCases['mfa.ticket']({ account: 'north', ticketHash: 'a'.repeat(64) }, given);
  await t.rejects(doing(ticket), altered, 'a ticket');
  await t.rejects(
    doing((given) => useCases['account.unlock']({ name: 'north', reason }, given)),
    { code: 'conflict' },
    'nothing is locked',
  );
  await t.resolves(
    doing((given) => useCases['account.lock']({ name: 'north', reason }, given)),
    'the twin: a lock is not hindered by an altered row',
  );
  await t.rejects(
    doing((given) => useCases['account.unlock']({ name: 'north', reason }, given)),
    altered,
    'but taking it back is',
  );
  const alarms = await sql.query("select 1 from alert where kind = 'row.broken-seal'");
  t.equal(alarms.length, 1, 'each is an alarm about that row');
});

test('a customer and a folder that were given other names get nothing that widens', async (t) => {
  const { sql, doing } = await setUp(t);
  const folder = (given: Doing) =>
    useCases['folder.set']({ customer: 'acme', folder: 'deposit', retentionDays: 9, reason }, given);
  await t.resolves(doing(folder), 'the folder of this name');
  await sql.query("update customer set name = 'globex' where name = 'acme'");
  const altered = { code: 'denied', message: /customer .* was altered before/ };
  await t.rejects(
    doing((given) =>
      useCases['folder.set']({ customer: 'globex', folder: 'deposit', retentionDays: 5, reason }, given),
    ),
    altered,
  );
  await t.rejects(
    doing((given) => useCases['customer.policy']({ name: 'globex', allow: null, reason }, given)),
    altered,
  );
  const suspend = (given: Doing) => useCases['customer.suspend']({ name: 'globex', reason }, given);
  await t.resolves(doing(suspend), 'the twin: a suspension is done all the same');
});

test('no operator takes away what a node made for its self-test', async (t) => {
  const { doing } = await setUp(t);
  const gone = { code: 'not-found' };
  await t.rejects(
    doing((given) => useCases['customer.suspend']({ name: 'self-test.n.partner', reason }, given)),
    gone,
  );
  const tighten = (customer: string) => (given: Doing) =>
    useCases['budget.tighten'](
      { scope: { kind: 'customer', customer }, direction: 'out', items: { hour: 0 }, reason },
      given,
    );
  await t.rejects(doing(tighten('self-test.n.partner')), gone);
  await t.resolves(doing(tighten('acme')), 'the twin: a bank can be narrowed by one');
});
