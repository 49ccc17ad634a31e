// A customer is given another name: who is told what, and every refusal by its reason, beside its twin. A name belongs
// to one customer for ever, because receipts, entries and letters of the past state names (decision 54).
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, type FolderId, idOf } from '../../server/domain/ids.ts';
import type { SessionFilter } from '../../server/domain/session-filter.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import { plan } from '../../server/warden/commands/plan.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { insertFolder } from '../../server/warden/folders/folder-queries.ts';
import { insertRight } from '../../server/warden/folders/right-queries.ts';
import { firstBroken, sealing } from '../../server/warden/seals/seals.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { doingOf } from '../support/doing.ts';
import { startSealBench } from '../support/seal-bench.ts';

const useCases = useCasesOf({ found: undefined });
const reason = 'merger';
type Names = { readonly name: string; readonly former_names: readonly string[] };

async function setUp(t: Test) {
  const bench = await startSealBench(t);
  const { sql } = bench;
  const limits = { settleMs: 0, collectWindowDays: 30, collectRetentionDays: 60 };
  const warden = { ...bench.warden, edges: [], budgets: wideBudgets, limits } as unknown as Warden;
  const officers = await twoOfficers(bench.warden);
  const ended: SessionFilter[] = [];
  const doing = (tx: Transaction, change: string | null): Doing =>
    doingOf(warden, tx, change, {
      endSessions: async (filter) => {
        ended.push(filter);
        return 3;
      },
    });
  const ids = new Map<string, CustomerId>();
  const create = async (name: string): Promise<unknown> =>
    warden.database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null }, () =>
        useCases['customer.create']({ name, reason }, doing(tx, null)),
      ),
    );
  for (const name of ['acme', 'globex']) {
    const id = idOf<CustomerId>(randomUUID());
    ids.set(name, id);
    await warden.database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null }, async () => {
        await insertCustomer(tx, id, name);
        await createBudgets(tx, { kind: 'customer', customer: id }, wideBudgets);
        const folder = {
          id: idOf<FolderId>(randomUUID()),
          customer: id,
          name: 'deposit',
          direction: 'deposit',
        } as const;
        const rules = {
          publishRule: 'on-close' as const,
          marker: '.done',
          readsMax: null,
          settleMs: 0,
          windowDays: null,
          retentionDays: null,
          replaceAllowed: false,
          directoriesAllowed: true,
        };
        await insertFolder(tx, { ...folder, ...rules });
      }),
    );
  }
  const customerOf = (name: string): CustomerId => ids.get(name) ?? idOf<CustomerId>('');
  const rename = (name: string, to: string): Promise<{ sessionsEnded: number; internalAccounts: string[] }> =>
    warden.database.withSystem(async (tx) => {
      const change = await officers.change(tx, { operation: 'customer.rename', params: { name, to, reason } });
      return sealing(tx, warden, { maker: 'operator', change: () => change }, () =>
        useCases['customer.rename']({ name, to, reason }, doing(tx, change)),
      );
    });
  const namesOf = async (of: string): Promise<Names | undefined> =>
    (await sql.query<Names>('select name, former_names from customer where id = $1', [customerOf(of)]))[0];
  const isGood = (of: string): Promise<boolean> =>
    warden.database.withSystem(
      async (tx) => (await firstBroken(tx, warden.keys, [{ kind: 'customer', id: customerOf(of) }])) === undefined,
    );
  return { sql, warden, officers, ended, create, rename, namesOf, isGood, customerOf, doing };
}

test('a customer that was renamed has the new name, its sessions end, and the record says both names', async (t) => {
  const { sql, officers, warden, ended, rename, namesOf, isGood, customerOf, doing } = await setUp(t);
  const account = {
    id: idOf<AccountId>(randomUUID()),
    name: 'processor',
    customer: null,
    kind: 'machine',
    plane: 'internal',
  } as const;
  const own = { ...account, contact: null, isDemo: false, manages: false };
  await officers.account(own);
  const [folder] = await sql.query<{ id: FolderId }>('select id from folder where customer_id = $1', [
    customerOf('acme'),
  ]);
  await officers.doing(
    { operation: 'account.create', params: { name: 'processor', kind: 'machine', plane: 'internal' } },
    async (tx) => {
      await insertRight(tx, account.id, customerOf('acme'), folder?.id ?? idOf<FolderId>(''), ['list']);
    },
  );
  const wish = { operation: 'customer.rename', params: { name: 'acme', to: 'acme-ag', reason } } as const;
  const planned = await warden.database.withSystem((tx) =>
    plan(wish, { ...doing(tx, null), savepoint: async (one) => tx.query('savepoint x').then(one) }, (within) =>
      useCases['customer.rename'](wish.params, within),
    ).finally(() => tx.query('rollback to savepoint x')),
  );
  t.match(planned, { needsSecond: true, sessionsEnded: 3 });
  t.match(JSON.parse(planned.effects[0]?.text ?? '{}'), {
    name: 'acme-ag',
    was: 'acme',
    internalAccounts: ['processor'],
    reason,
  });
  t.same(await namesOf('acme'), { name: 'acme', former_names: [] }, 'a plan changes nothing');
  ended.length = 0;

  t.same(await rename('acme', 'acme-ag'), { sessionsEnded: 3, internalAccounts: ['processor'] });
  t.same(await namesOf('acme'), { name: 'acme-ag', former_names: ['acme'] });
  t.same(ended, [{ customer: customerOf('acme') }], 'the sessions that are sealed with the old name');
  t.ok(await isGood('acme'), 'sealed as it stands');
  const [entry] = await sql.query(
    "select customer_id, public, sensitive from ledger_fresh where kind = 'customer.renamed'",
  );
  const sensitive = { internalAccounts: ['processor'], reason, by: 'alice, approved by bob' };
  t.same(entry, { customer_id: customerOf('acme'), public: { name: 'acme-ag', was: 'acme' }, sensitive });
  t.same(
    await rename('globex', 'globex-ag'),
    { sessionsEnded: 3, internalAccounts: [] },
    'the twin: none of our own reaches it',
  );

  const suspend = (name: string): Promise<unknown> =>
    warden.database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null }, () =>
        useCases['customer.suspend']({ name, reason }, doing(tx, null)),
      ),
    );
  await t.rejects(suspend('acme'), {
    code: 'not-found',
    message: 'there is no customer named acme: it was renamed, and is acme-ag now',
  });
  await t.rejects(suspend('nobody'), { code: 'not-found', message: /there is no customer named nobody$/ });
  await t.resolves(suspend('acme-ag'));
});

test('a name that another customer has or had is given to nobody', async (t) => {
  const { rename, create, namesOf, isGood } = await setUp(t);
  await t.rejects(rename('acme', 'acme'), { code: 'conflict', message: /has this name already/ });
  await t.rejects(rename('nobody', 'somebody'), { code: 'not-found' });
  await t.rejects(rename('acme', 'globex'), { code: 'conflict', message: 'there is already a customer named globex' });
  await rename('acme', 'acme-ag');
  const anothers = { code: 'conflict', message: /^acme was the name of the customer that is acme-ag now/ };
  await t.rejects(rename('globex', 'acme'), anothers, 'by a rename');
  await t.rejects(create('acme'), anothers, 'by a new customer');
  t.same(await namesOf('globex'), { name: 'globex', former_names: [] }, 'nothing was done');
  await t.resolves(create('initech'), 'the twin: a name that nobody had');
  await t.rejects(create('initech'), { code: 'conflict', message: 'there is already a customer named initech' });

  await rename('acme-ag', 'acme-se');
  await rename('acme-se', 'acme');
  t.same(
    await namesOf('acme'),
    { name: 'acme', former_names: ['acme-ag', 'acme-se'] },
    'the twin: its own former name, again',
  );
  t.ok(await isGood('acme'));
  await t.rejects(create('acme-se'), {
    code: 'conflict',
    message: /^acme-se was the name of the customer that is acme now/,
  });
});

test('a name that a customer gives up is not given to one that is created at that moment', async (t) => {
  const { sql, warden, create, customerOf } = await setUp(t);
  await sql.query('begin');
  await sql.query("update customer set name = 'acme-ag', former_names = '{acme}' where id = $1", [customerOf('acme')]);
  const made = create('acme').catch((error: unknown) => error);
  // It waits for the name, which is given up and not committed yet.
  const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  for (const end = Date.now() + 30_000; (await warden.database.withSystem((tx) => tx.query(waiting))).length === 0; )
    if (Date.now() > end) throw new Error('it does not wait');
  await sql.query('commit');
  t.match(await made, { code: 'conflict', message: /^acme was the name of the customer that is acme-ag now/ });
  t.same(await sql.query("select 1 from customer where name = 'acme'"), [], 'nothing was done');
  await t.resolves(create('initech'), 'the twin');
});

test('the number of names that a customer may have had is bounded', async (t) => {
  const { rename, namesOf } = await setUp(t);
  for (let n = 0; n < 20; n += 1) await rename(n === 0 ? 'acme' : `acme-${n}`, `acme-${n + 1}`);
  await t.rejects(rename('acme-20', 'acme-21'), { code: 'over-limit', message: /has had 20 names before/ });
  await t.resolves(rename('acme-20', 'acme-7'), 'the twin: one of its own');
  t.equal((await namesOf('acme'))?.former_names.length, 20);
});

test('the owner of the database gives a customer no former name, and takes none away', async (t) => {
  const { sql, rename, isGood, customerOf } = await setUp(t);
  await rename('acme', 'acme-ag');
  await sql.query("update customer set former_names = '{}' where id = $1", [customerOf('acme')]);
  t.notOk(await isGood('acme'), 'whoever logs in is refused, and the pass over the seals raises an alarm');
  await t.rejects(rename('acme-ag', 'acme-se'), { code: 'denied', message: /was altered before/ });
  t.ok(await isGood('globex'), 'the twin');
  await t.rejects(
    sql.query("update customer set former_names = '{acme-ag}' where id = $1", [customerOf('acme')]),
    /check constraint/,
  );
});
