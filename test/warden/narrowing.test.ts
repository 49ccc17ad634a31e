// T-36: the owner of the database cannot prevent anybody from taking something away by altering the rows that a command
// finds. Every operation that one operator may do is here, with each kind of row that it looks up: the row is altered,
// the command is carried out, the alteration is reported, and the row opens nothing; what would widen is refused.
import { AsyncLocalStorage } from 'node:async_hooks';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, type FolderId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { publicKeyFingerprint } from '../../server/rpc/change-document.ts';
import { operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { requireAccount } from '../../server/warden/accounts/account-commands.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { addKey } from '../../server/warden/credentials/credentials.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { insertSecondFactor } from '../../server/warden/factors/factor-queries.ts';
import { newSeed } from '../../server/warden/factors/totp.ts';
import { insertFolder } from '../../server/warden/folders/folder-queries.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { insertBreakGlass } from '../../server/warden/operators/break-glass-queries.ts';
import { insertOperator, insertOperatorKey } from '../../server/warden/operators/operator-queries.ts';
import { relyOnFound } from '../../server/warden/seals/declared.ts';
import { generationsOf } from '../../server/warden/seals/generations.ts';
import type { Maker } from '../../server/warden/seals/provenance.ts';
import type { RowName, SealKind } from '../../server/warden/seals/seal-queries.ts';
import { examineDeclared, firstBroken, sealing } from '../../server/warden/seals/seals.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { insertWindow } from '../../server/warden/windows/window-queries.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { doingOf } from '../support/doing.ts';
import { makeKey } from '../support/key-requests.ts';
import { startSealBench } from '../support/seal-bench.ts';

const useCases = useCasesOf({ found: undefined });

const reason = 'x';
const hourMs = 3_600_000;

async function setUp(t: Test) {
  const { sql, warden: bench, config } = await startSealBench(t);
  const credentials = { dayMs: 86_400_000, hoursPerDay: 24, lifeDays: 300, lifeMaxDays: 400, overlapDays: 2 };
  const wardenOf = (keys: Warden['keys']): Warden =>
    ({ database: bench.database, keys, ages: credentials, edges: [], budgets: wideBudgets }) as unknown as Warden;
  const warden = wardenOf(bench.keys);
  const officers = await twoOfficers(bench);
  const doing = (tx: Transaction, change: string | null): Doing =>
    doingOf(warden, tx, change, {
      widen: (wider) => {
        if (wider.length === 0) return;
        if (change === null) throw new Error(`this would widen ${wider.join()}`);
        relyOnFound(tx);
      },
    });
  const by = <T>(maker: Maker, work: (tx: Transaction) => Promise<T>): Promise<T> =>
    warden.database.withSystem((tx) => sealing(tx, warden, { maker, change: () => null }, () => work(tx)));
  const alone = (deed: Deed, scene: Scene): Promise<unknown> => by('operator', (tx) => deed(scene, doing(tx, null)));
  /** Approved by two: the change is genuine, so that only the row can be what is wrong. */
  const agreed = (deed: Deed, scene: Scene): Promise<unknown> =>
    warden.database.withSystem(async (tx) => {
      const id = await officers.change(tx, { operation: 'account.set', params: { name: scene.account } });
      return sealing(tx, warden, { maker: 'operator', change: () => id }, () => deed(scene, doing(tx, id)));
    });
  let count = 0;
  const scene = async (): Promise<Scene> => {
    count += 1;
    const [bank, account, officer] = [`bank-${count}`, `account-${count}`, `officer-${count}`];
    const ids = {
      customer: idOf<CustomerId>(randomUUID()),
      account: idOf<AccountId>(randomUUID()),
      folder: idOf<FolderId>(randomUUID()),
    };
    await by('operator', async (tx) => {
      await insertCustomer(tx, ids.customer, bank);
      await createBudgets(tx, { kind: 'customer', customer: ids.customer }, wideBudgets);
      await insertFolder(tx, {
        id: ids.folder,
        customer: ids.customer,
        name: 'deposit',
        direction: 'deposit',
        publishRule: 'on-close',
        marker: '.done',
        readsMax: null,
        settleMs: 0,
        windowDays: 30,
        retentionDays: 60,
        replaceAllowed: false,
        directoriesAllowed: true,
      });
    });
    const holder = { id: ids.account, name: account, customer: ids.customer };
    await officers.account({
      ...holder,
      kind: 'machine',
      plane: 'partner',
      contact: null,
      isDemo: false,
      manages: false,
    });
    const { line } = makeKey();
    const window = randomUUID();
    const fingerprint = await by('console', async (tx) => {
      await createBudgets(
        tx,
        { kind: 'account', account: ids.account, customer: ids.customer, isInternal: false },
        wideBudgets,
      );
      await insertWindow(tx, window, ids.account, hourMs, 'x', 'x');
      await insertSecondFactor(tx, ids.account, warden.keys.sealSecret('totp', ids.account, newSeed()));
      const acting = { tx, warden, by: 'x', endSessions: async () => 0 };
      return (await addKey(acting, { holder, publicKey: line, isProved: true, replaces: null })).fingerprint;
    });
    const spki = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
    const operatorKey = publicKeyFingerprint(spki);
    const operator = await by('bootstrap', async (tx) => {
      const id = (await insertOperator(tx, officer, 'operator')) ?? '';
      await insertOperatorKey(tx, id, operatorKey, spki);
      return id;
    });
    const glass = await officers.doing(
      { operation: 'break-glass.prepare', params: { operator: officer } },
      async (tx) => {
        const made = await insertBreakGlass(tx, {
          operator,
          operations: ['account.expire'],
          hours: 1,
          reason,
          validDays: 1,
        });
        return made.id;
      },
    );
    const [{ id: budget } = { id: '' }] = await sql.query<{ id: string }>(
      "select id::text from budget where rank = 2 and account_id = $1 and direction = 'out'",
      [ids.account],
    );
    const [{ id: credential } = { id: '' }] = await sql.query<{ id: string }>(
      'select id from credential where fingerprint = $1',
      [fingerprint],
    );
    const rows: Readonly<Partial<Record<SealKind, string>>> = {
      customer: ids.customer,
      account: ids.account,
      folder: ids.folder,
      credential,
      window,
      budget,
      operator,
      'operator-key': operatorKey,
      'break-glass': glass,
      'second-factor': ids.account,
    };
    return { bank, account, officer, fingerprint, operatorKey, glass, rows };
  };
  const isGood = async (name: RowName, keys = warden.keys): Promise<boolean> =>
    (await warden.database.withSystem(async (tx) => {
      await generationsOf(keys).refresh(tx);
      return firstBroken(tx, keys, [name]);
    })) === undefined;
  const holds = async (text: string, id: string): Promise<boolean> =>
    (await sql.query(`select 1 from ${text}`, [id])).length === 1;
  const alter = async (text: string, id: string): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(`update ${text}`, [id]);
    await sql.query('set session_replication_role = origin');
  };
  return { sql, warden, config, wardenOf, by, alone, agreed, scene, isGood, holds, alter, doingOf };
}

type Scene = {
  readonly bank: string;
  readonly account: string;
  readonly officer: string;
  readonly fingerprint: string;
  readonly operatorKey: string;
  readonly glass: string;
  readonly rows: Readonly<Partial<Record<SealKind, string>>>;
};
type Deed = (scene: Scene, doing: Doing) => Promise<unknown>;
/** `$1`: the id of the row of this kind, before and after. */
type Alteration = readonly [kind: SealKind, statement: string];
type Case = {
  readonly alterations: readonly Alteration[];
  readonly deed: Deed;
  /** What is true afterwards: a row of this kind, that is found in this way. */
  readonly effect: Alteration;
  /** The same, but wider, approved by two. */
  readonly widens?: Deed;
};

const wider = "account set source_networks = '{}', read_only = false, expires_at = null, kind = 'person' where id = $1";
const marked: Alteration = ['account', 'account set is_self_test = true where id = $1'];
const narrower =
  "account set source_networks = '{203.0.113.7/32}', read_only = true, expires_at = now() + interval '1 day', kind = 'machine' where id = $1";
const account: readonly Alteration[] = [['account', wider], ['account', narrower], marked];
const customer: readonly Alteration[] = [
  ['customer', "customer set allowed_proofs = '{key+window,key+totp}' where id = $1"],
  ['customer', "customer set allowed_proofs = '{key+totp}' where id = $1"],
  ['customer', 'customer set is_self_test = true where id = $1'],
];
const credential: readonly Alteration[] = [
  ['credential', "credential set source_networks = '{192.0.2.0/24}' where id = $1"],
  ...account,
];
const budget: readonly Alteration[] = [
  ['budget', 'budget set cap_hour_items = 1000000, cap_day_items = 1000000 where id = $1'],
  ['budget', 'budget set cap_hour_items = 1, cap_day_items = 1 where id = $1'],
  ...account,
];
const folder: readonly Alteration[] = [
  ['folder', 'folder set window_days = null, retention_days = null where id = $1'],
  ['folder', 'folder set window_days = 1, reads_max = 1 where id = $1'],
  ...customer,
];
const scopeOf = (scene: Scene) => ({ kind: 'account', account: scene.account }) as const;

/** For every operation that one operator may do alone. */
const cases: Readonly<Record<string, Case>> = {
  'customer.suspend': {
    alterations: customer,
    deed: ({ bank }, doing) => useCases['customer.suspend']({ name: bank, reason }, doing),
    effect: ['customer', "customer where id = $1 and state = 'suspended'"],
    widens: ({ bank }, doing) => useCases['customer.resume']({ name: bank, reason }, doing),
  },
  'customer.policy': {
    alterations: customer,
    deed: ({ bank }, doing) => useCases['customer.policy']({ name: bank, allow: ['key+window'], reason }, doing),
    effect: ['customer', "customer where id = $1 and allowed_proofs = '{key+window}'"],
    widens: ({ bank }, doing) => useCases['customer.policy']({ name: bank, allow: null, reason }, doing),
  },
  'account.lock': {
    alterations: account,
    deed: ({ account: name }, doing) => useCases['account.lock']({ name, reason }, doing),
    effect: ['account', "account where id = $1 and state = 'suspended'"],
    widens: ({ account: name }, doing) => useCases['account.unlock']({ name, reason }, doing),
  },
  'account.expire': {
    alterations: account,
    deed: ({ account: name }, doing) => useCases['account.expire']({ name, inDays: 5, reason }, doing),
    effect: ['account', "account where id = $1 and expires_at < now() + interval '6 days'"],
    widens: ({ account: name }, doing) => useCases['account.expire']({ name, inDays: null, reason }, doing),
  },
  'account.set': {
    alterations: account,
    deed: ({ account: name }, doing) =>
      useCases['account.set']({ name, networks: ['192.0.2.0/24'], readOnly: true, manages: false, reason }, doing),
    effect: ['account', "account where id = $1 and source_networks = '{192.0.2.0/24}' and read_only and not manages"],
    widens: ({ account: name }, doing) => useCases['account.set']({ name, networks: [], reason }, doing),
  },
  'window.close': {
    alterations: [
      ...account,
      ['window', "activation_window set closes_at = opens_at + interval '1 millisecond' where id = $1"],
    ],
    deed: ({ account: name }, doing) => useCases['window.close']({ account: name }, doing),
    effect: ['window', 'activation_window where id = $1 and closed_at is not null'],
  },
  'mfa.reset': {
    alterations: [...account, ['second-factor', "second_factor set sealed_by = 'x' where account_id = $1"]],
    deed: ({ account: name }, doing) => useCases['mfa.reset']({ account: name, reason }, doing),
    effect: ['second-factor', 'second_factor where account_id = $1 and sealed_seed is null'],
  },
  'key.suspend': {
    alterations: credential,
    deed: ({ fingerprint }, doing) => useCases['key.suspend']({ fingerprint, reason }, doing),
    effect: ['credential', "credential where id = $1 and state = 'suspended'"],
    widens: ({ fingerprint }, doing) => useCases['key.resume']({ fingerprint, reason }, doing),
  },
  'key.retire': {
    alterations: credential,
    deed: ({ fingerprint }, doing) => useCases['key.retire']({ fingerprint, overlapDays: 0, reason }, doing),
    effect: ['credential', "credential where id = $1 and state = 'revoked'"],
  },
  'credential.revoke': {
    alterations: credential,
    deed: ({ account: name }, doing) => useCases['credential.revoke']({ selection: { account: name }, reason }, doing),
    effect: ['credential', "credential where id = $1 and state = 'revoked'"],
  },
  'rotation.start': {
    alterations: credential,
    deed: ({ account: name }, doing) =>
      useCases['rotation.start']({ selection: { account: name }, overlapDays: 1, reason }, doing),
    effect: ['credential', 'rotation_item where credential_id = $1'],
  },
  'budget.tighten': {
    alterations: budget,
    deed: (scene, doing) =>
      useCases['budget.tighten']({ scope: scopeOf(scene), direction: 'out', items: { hour: 7 }, reason }, doing),
    effect: ['budget', 'budget where id = $1 and cap_hour_items = 7'],
  },
  'budget.set': {
    alterations: budget,
    deed: (scene, doing) =>
      useCases['budget.set']({ scope: scopeOf(scene), direction: 'out', items: { hour: 2 }, reason }, doing),
    effect: ['budget', 'budget where id = $1 and cap_hour_items = 2'],
    widens: (scene, doing) =>
      useCases['budget.set'](
        { scope: scopeOf(scene), direction: 'out', items: { hour: 9_999_999 }, headroomPercent: 10, reason },
        doing,
      ),
  },
  'folder.set': {
    alterations: folder,
    deed: ({ bank }, doing) =>
      useCases['folder.set']({ customer: bank, folder: 'deposit', windowDays: 3, reason }, doing),
    effect: ['folder', 'folder where id = $1 and window_days = 3'],
    widens: ({ bank }, doing) =>
      useCases['folder.set']({ customer: bank, folder: 'deposit', retentionDays: 4, reason }, doing),
  },
  'hold.place': {
    alterations: folder,
    deed: ({ bank }, doing) => useCases['hold.place']({ customer: bank, folder: 'deposit', reason }, doing),
    effect: ['folder', 'legal_hold where folder_id = $1'],
  },
  'operator.suspend': {
    alterations: [
      ['operator', "operator set role = 'security-officer' where id = $1"],
      ['operator', "operator set state = 'suspended' where id = $1"],
    ],
    deed: ({ officer }, doing) => useCases['operator.suspend']({ name: officer, reason }, doing),
    effect: ['operator', "operator where id = $1 and state = 'suspended'"],
    widens: ({ officer }, doing) => useCases['operator.resume']({ name: officer, reason }, doing),
  },
  'operator.end-key': {
    alterations: [
      ['operator', "operator set role = 'security-officer' where id = $1"],
      [
        'operator-key',
        "operator_key set operator_id = (select id from operator where name = 'agreed-bob') where fingerprint = $1",
      ],
      ['operator-key', 'operator_key set ended_at = now() where fingerprint = $1'],
    ],
    deed: ({ officer, operatorKey }, doing) =>
      useCases['operator.end-key']({ name: officer, fingerprint: operatorKey, reason }, doing),
    effect: ['operator-key', 'operator_key where fingerprint = $1 and ended_at is not null'],
  },
  'break-glass.end': {
    alterations: [
      ['break-glass', 'break_glass set hours = 24 where id = $1'],
      ['break-glass', 'break_glass set ended_at = now() where id = $1'],
    ],
    deed: ({ glass }, doing) => useCases['break-glass.end']({ breakGlass: glass, reason }, doing),
    effect: ['break-glass', 'break_glass where id = $1 and ended_at is not null'],
  },
};

const carries = 'it finds no row that carries a seal: what it is about is named by its id';
/** The other operations that one operator may do, and why no altered row hinders them. */
const others: Readonly<Record<string, string>> = {
  'customer.create': 'it makes what nobody can reach yet, and takes nothing away',
  'account.end-sessions': carries,
  'session.end': carries,
  'file.withdraw': carries,
  'file.reopen':
    'it shows again what a row without a seal had put elsewhere, and the account is named only to find that row',
  'node.drain': carries,
  'rotation.finish': 'it retires what a rotation names, by its ids',
  'rotation.advance': 'without keys it begins what a rotation names, by its ids; with keys it widens',
  'change.reject': carries,
  'change.propose': 'it takes nothing away',
  'change.approve': 'it takes nothing away: what it applies says so itself',
  'budget.release': 'it widens, by what two approved before',
  'ledger.begin-epoch': 'it takes nothing away: a head is written that would be written within a day',
  plan: 'it does nothing',
  'warden.ping': 'it does nothing',
};

test('every operation of one operator is examined here, or takes nothing away by a row that could be altered', (t) => {
  const single = Object.entries(operatorToAdmin).flatMap(([name, row]) =>
    row.changes && row.second !== 'always' ? [name] : [],
  );
  t.same([...Object.keys(cases), ...Object.keys(others)].sort(), single.sort());
  t.end();
});

/** What each of the operations is on the record. */
const entryOf: Readonly<Record<string, string>> = {
  'customer.suspend': 'customer.suspended',
  'customer.policy': 'customer.policy-set',
  'account.lock': 'account.locked',
  'account.expire': 'account.end-set',
  'account.set': 'account.changed',
  'window.close': 'window.closed',
  'mfa.reset': 'second-factor.reset',
  'key.suspend': 'credential.suspended',
  'key.retire': 'credential.retired',
  'credential.revoke': 'credential.revoked',
  'rotation.start': 'rotation.started',
  'budget.tighten': 'budget.changed',
  'budget.set': 'budget.changed',
  'folder.set': 'folder.changed',
  'hold.place': 'hold.placed',
  'operator.suspend': 'operator.suspended',
  'operator.end-key': 'operator.key-ended',
  'break-glass.end': 'break-glass.ended',
};

test('a command that takes something away is carried out, whatever was done to its rows; one that widens is not', async (t) => {
  const { sql, alone, agreed, scene, isGood, holds, alter } = await setUp(t);
  for (const [operation, { alterations, deed, effect, widens }] of Object.entries(cases)) {
    const honest = await scene();
    const target = (of: Scene): string => of.rows[effect[0]] ?? '';
    const [{ last } = { last: '0' }] = await sql.query<{ last: string }>(
      'select coalesce(max(id), 0) as last from ledger_fresh',
    );
    await t.resolves(alone(deed, honest), `${operation}: as the rows were written`);
    const entries = await sql.query<{ kind: string }>(
      "select kind from ledger_fresh where id > $1 and kind <> 'rows.resealed' order by id",
      [last],
    );
    t.same(entries, [{ kind: entryOf[operation] }], `${operation}: on the record by its own name, once`);
    t.ok(await holds(effect[1], target(honest)), `${operation}: it holds`);
    t.ok(await isGood({ kind: effect[0], id: target(honest) }), `${operation}: and the row is good`);
    for (const [kind, statement] of alterations) {
      const what = `${operation}, ${statement.split(' where ')[0]}`;
      const altered = await scene();
      const id = altered.rows[kind] ?? '';
      await alter(statement, id);
      await sql.query('delete from alert');
      await t.resolves(alone(deed, altered), what);
      t.ok(await holds(effect[1], target(altered)), `${what}: it holds`);
      const isEnd = kind === 'second-factor';
      t.equal(await isGood({ kind, id }), isEnd, `${what}: the row opens nothing`);
      if (kind !== 'window')
        t.same(
          (await sql.query<{ subject: string }>("select subject from alert where kind = 'row.broken-seal'")).map(
            (one) => one.subject,
          ),
          [`${kind}/${id}`],
          `${what}: it is told that it was altered`,
        );
      if (widens !== undefined)
        await t.rejects(
          agreed(widens, altered),
          { code: 'denied', message: /was altered before/ },
          `${what}: wider, by two`,
        );
    }
  }
});

test('what was taken away meanwhile does not come back with the row as it was, until it is taken away again', async (t) => {
  const { sql, config, wardenOf, alone, agreed, scene, isGood, alter } = await setUp(t);
  const one = await scene();
  const name = { kind: 'account', id: one.rows.account ?? '' } as const;
  const expire =
    (inDays: number): Deed =>
    ({ account: of }, doing) =>
      useCases['account.expire']({ name: of, inDays, reason }, doing);
  const [kept] = await sql.query<{ row: unknown; seal: unknown }>(
    "select to_jsonb(a) as row, to_jsonb(s) as seal from account a join seal s on s.kind = 'account' and s.row_id = a.id::text where a.id = $1",
    [name.id],
  );
  const putBack = async (): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(
      'update account a set expires_at = o.expires_at, source_networks = o.source_networks, read_only = o.read_only, kind = o.kind from jsonb_populate_record(null::account, $1) o where a.id = o.id',
      [JSON.stringify(kept?.row)],
    );
    await sql.query(
      "update seal s set mac = o.mac, sealed_by = o.sealed_by, change_id = o.change_id, maker = o.maker, generation = o.generation from jsonb_populate_record(null::seal, $1) o where s.kind = 'account' and s.row_id = o.row_id",
      [JSON.stringify(kept?.seal)],
    );
    await sql.query('set session_replication_role = origin');
  };
  const starts = (): Warden => wardenOf(createKeyRing(config));
  await alter(wider, name.id);
  await putBack();
  t.ok(await isGood(name), 'the twin: put back before anything was taken away, it is good');

  await alter(wider, name.id);
  await alone(expire(5), one);
  await alone(expire(4), one);
  await putBack();
  t.notOk(await isGood(name), 'put back, it is older than what was taken away');
  t.notOk(await isGood(name, starts().keys), 'and the next warden knows it from the record');
  const widen: Deed = ({ account: of }, doing) => useCases['window.open']({ account: of, hours: 1, reason }, doing);
  await t.rejects(agreed(widen, one), { code: 'denied', message: /was altered before/ }, 'nothing is widened by it');
  await alone(expire(3), one);
  t.ok(await isGood(name), 'narrowed again, it is good');
  t.ok(await isGood(name, starts().keys), 'for the next warden, too');
  const [row] = await sql.query<{ is_set: boolean }>(
    'select expires_at is not null as is_set from account where id = $1',
    [name.id],
  );
  t.ok(row?.is_set);
  await putBack();
  t.notOk(await isGood(name), 'and not as it was before');
});

test('an honest change at the same moment is no alteration: the command is retried, and breaks nothing', async (t) => {
  const { sql, alone, scene, isGood, holds } = await setUp(t);
  const one = await scene();
  const id = one.rows.account ?? '';
  const another = AsyncLocalStorage.snapshot();
  const between: Deed = async (of, doing) => {
    await doing.savepoint(async () => requireAccount(doing.tx, of.account, 'to-narrow'));
    await another(() =>
      alone((mine, other) => useCases['account.set']({ name: mine.account, readOnly: true, reason }, other), one),
    );
    return useCases['account.expire']({ name: of.account, inDays: 5, reason }, doing);
  };
  await t.rejects(alone(between, one), { code: 'conflict', message: /changed by somebody else at the same moment/ });
  t.ok(await isGood({ kind: 'account', id }));
  t.ok(await holds('account where id = $1 and read_only and expires_at is null', id), 'the other one’s, alone');
  const found: Deed = async (of, doing) => {
    await requireAccount(doing.tx, of.account, 'to-narrow');
    await another(() =>
      alone((mine, other) => useCases['account.expire']({ name: mine.account, inDays: 5, reason }, other), one),
    );
    return useCases['account.lock']({ name: of.account, reason }, doing);
  };
  await t.resolves(alone(found, one), 'a lock beside it');
  t.same(await sql.query("select 1 from alert where kind = 'row.broken-seal'"), [], 'and nothing was altered');
  t.ok(await isGood({ kind: 'account', id }));
});

test('a plan that relies on an altered row is refused and reported, like the command that it plans', async (t) => {
  const { sql, warden, by, scene, alter } = await setUp(t);
  const one = await scene();
  const id = one.rows.account ?? '';
  const planned = (): Promise<unknown> =>
    by('operator', async (tx) => {
      await requireAccount(tx, one.account, 'to-rely');
      await examineDeclared(tx, warden.keys);
    });
  const told = (): Promise<readonly { subject: string }[]> =>
    sql.query("select subject from alert where kind = 'row.broken-seal'");
  await t.resolves(planned(), 'the twin: of a good row');
  t.same(await told(), []);
  await alter(narrower, id);
  await t.rejects(planned(), { code: 'denied', message: /was altered before/ });
  t.same(await told(), [{ subject: `account/${id}` }]);
});
