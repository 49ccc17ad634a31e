// T-36: what a node makes for its self-test is valid without a second operator, so it is valid only on its own account.
// Here the rows have the warden's own seals: only whose they are is wrong.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import {
  type AccountId,
  type CredentialId,
  type CustomerId,
  type FolderId,
  idOf,
  type NodeName,
} from '../../server/domain/ids.ts';
import { verifyCode } from '../../server/warden/authentication/verify-evidence.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { insertCredential } from '../../server/warden/credentials/credential-queries.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { endFactor, insertSecondFactor } from '../../server/warden/factors/factor-queries.ts';
import { codeAt, newSeed, stepAt } from '../../server/warden/factors/totp.ts';
import { insertFolder } from '../../server/warden/folders/folder-queries.ts';
import { insertRight } from '../../server/warden/folders/right-queries.ts';
import { brokenSeals } from '../../server/warden/seals/broken-seals.ts';
import type { Maker } from '../../server/warden/seals/provenance.ts';
import { type RowName, readRows, type SealKind } from '../../server/warden/seals/seal-queries.ts';
import { firstBroken, sealing, sealRows } from '../../server/warden/seals/seals.ts';
import { selfTestHandlers } from '../../server/warden/self-test/self-test.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { UserKey } from '../support/impostor.ts';
import { addRight } from '../support/rows.ts';
import { startSealBench } from '../support/seal-bench.ts';

async function setUp(t: Test) {
  const bench = await startSealBench(t);
  const { sql } = bench;
  const warden = { ...bench.warden, budgets: wideBudgets } as unknown as Warden;
  const { database, keys } = warden;
  const by = <T>(maker: Maker, work: (tx: Tx) => Promise<T>): Promise<T> =>
    database.withSystem((tx) => sealing(tx, warden, { maker, change: () => null }, () => work(tx)));
  const [customer, account, folder] = [
    idOf<CustomerId>(randomUUID()),
    idOf<AccountId>(randomUUID()),
    idOf<FolderId>(randomUUID()),
  ];
  const folderOf = (id: FolderId, of: CustomerId) =>
    ({
      id,
      customer: of,
      name: `f-${id.slice(0, 8)}`,
      direction: 'collect',
      publishRule: 'on-close',
      marker: '.done',
      readsMax: null,
      settleMs: 0,
      windowDays: null,
      retentionDays: null,
      replaceAllowed: true,
      directoriesAllowed: false,
    }) as const;
  await by('operator', (tx) => insertCustomer(tx, customer, 'acme'));
  await by('operator', (tx) => insertFolder(tx, folderOf(folder, customer)));
  const officers = await twoOfficers(bench.warden);
  await officers.account({
    id: account,
    name: 'north',
    customer,
    kind: 'person',
    plane: 'partner',
    contact: null,
    isDemo: false,
    manages: false,
  });
  const node: EdgeCaller = { node: idOf<NodeName>('n'), plane: 'partner' };
  const handlers = selfTestHandlers(warden, () => 'a run');
  await handlers['self-test.begin']({ key: Buffer.from(new UserKey().blob).toString('base64') }, node);
  const [own] = await sql.query<{ id: AccountId; customer_id: CustomerId }>(
    'select id, customer_id from account where is_self_test',
  );
  if (own === undefined) throw new Error('no self-test');
  const broken = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const row of brokenSeals(warden)) found.push(row.kind);
    return found.sort();
  };
  const isGood = async (name: RowName): Promise<boolean> =>
    (await database.withSystem((tx) => firstBroken(tx, keys, [name]))) === undefined;
  /** Sealed as it is, with the warden's keys, as a self-test's. */
  const sealAsSelfTests = (name: RowName): Promise<void> =>
    database.withSystem(async (tx) => {
      const rows = await readRows(tx, [name]);
      await sealRows(
        tx,
        keys,
        rows.map((row) => ({ ...row, maker: 'self-test', change: null, generation: row.generation })),
      );
    });
  return { sql, warden, by, broken, isGood, sealAsSelfTests, customer, account, folder, folderOf, own, officers };
}
type Tx = Parameters<typeof insertCustomer>[0];

const keyOf = (account: AccountId, id: string) =>
  ({
    id: idOf<CredentialId>(id),
    account,
    secret: { type: 'public-key', algorithm: 'ssh-ed25519', blob: Buffer.from(new UserKey().blob) },
    fingerprint: `SHA256:${id}`,
    issuedBy: 'self-test',
    livesMs: 86_400_000,
    waitsMs: 0,
    readOnly: false,
    networks: [],
    isProved: true,
  }) as const;

test('a row made by a self-test is valid only on the account and customer of a verified self-test', async (t) => {
  const { sql, by, broken, isGood, sealAsSelfTests, customer, account, folder, own, warden } = await setUp(t);
  t.same(await broken(), [], 'as they were made');
  const credential = randomUUID();
  await by('console', async (tx) => {
    await insertCredential(tx, keyOf(account, credential));
    await createBudgets(tx, { kind: 'credential', credential: idOf(credential), customer }, wideBudgets);
    await createBudgets(tx, { kind: 'account', account, customer, isInternal: false }, wideBudgets);
    await insertSecondFactor(tx, account, warden.keys.sealSecret('totp', account, newSeed()));
  });
  const [{ id: budget } = { id: '' }] = await sql.query<{ id: string }>(
    "select id::text from budget where account_id = $1 and direction = 'out'",
    [account],
  );
  await addRight(sql, { account, customer, folder, verbs: ['read'] });
  const names: readonly (readonly [SealKind, string])[] = [
    ['customer', customer],
    ['account', account],
    ['folder', folder],
    ['credential', credential],
    ['rights', account],
    ['budget', budget],
    ['second-factor', account],
  ];
  for (const [kind, id] of names) {
    const kept = await sql.query('select to_jsonb(s) as seal from seal s where kind = $1 and row_id = $2', [kind, id]);
    await sealAsSelfTests({ kind, id });
    t.notOk(await isGood({ kind, id }), `${kind} of a bank`);
    t.ok((await broken()).includes(kind), `${kind}: the regular pass meets it`);
    await sql.query(
      'update seal s set mac = o.mac, maker = o.maker, change_id = o.change_id from jsonb_populate_record(null::seal, $3) o where s.kind = $1 and s.row_id = $2',
      [kind, id, JSON.stringify((kept[0] as { seal: unknown }).seal)],
    );
    if (kind !== 'rights') t.ok(await isGood({ kind, id }), `${kind}, the twin: by who made it`);
  }
  await sql.query('delete from folder_right where account_id = $1', [account]);
  for (const [kind, id] of [
    ['account', own.id],
    ['customer', own.customer_id],
    ['rights', own.id],
    ['second-factor', own.id],
  ] as const)
    t.ok(await isGood({ kind, id }), `${kind} of the node's own`);

  // The ground itself: what rests on it falls with it.
  const [{ id: key } = { id: '' }] = await sql.query<{ id: string }>(
    'select id from credential where account_id = $1',
    [own.id],
  );
  t.ok(await isGood({ kind: 'credential', id: key }));
  await sql.query("update customer set allowed_proofs = '{key+totp}' where id = $1", [own.customer_id]);
  t.notOk(await isGood({ kind: 'credential', id: key }), 'whose customer was altered');
});

test('a self-test makes nothing on an account or a customer that is not its own', async (t) => {
  const { sql, by, customer, account, folder, folderOf, own } = await setUp(t);
  const refused = { code: 'denied', message: /every reader would refuse such a row/ };
  const count = async (): Promise<unknown> =>
    sql.query(
      'select (select count(*)::int from credential) as k, (select count(*)::int from folder) as f, (select count(*)::int from folder_right) as r',
    );
  const before = await count();
  const deeds: readonly (readonly [string, (tx: Tx) => Promise<unknown>, (tx: Tx) => Promise<unknown>])[] = [
    [
      'a key',
      (tx) => insertCredential(tx, keyOf(account, randomUUID())),
      (tx) => insertCredential(tx, keyOf(own.id, randomUUID())),
    ],
    [
      'a folder',
      (tx) => insertFolder(tx, folderOf(idOf<FolderId>(randomUUID()), customer)),
      (tx) => insertFolder(tx, folderOf(idOf<FolderId>(randomUUID()), own.customer_id)),
    ],
    [
      'budgets',
      (tx) => createBudgets(tx, { kind: 'customer', customer }, wideBudgets),
      (tx) => createBudgets(tx, { kind: 'customer', customer: own.customer_id }, wideBudgets),
    ],
  ];
  for (const [what, deed] of deeds) await t.rejects(by('self-test', deed), refused, `${what} of a bank`);
  await t.rejects(
    by('self-test', (tx) => insertRight(tx, own.id, customer, folder, ['read'])),
    { code: 'denied' },
    'a right on a folder of a bank, for its own account',
  );
  t.same(await count(), before, 'nothing was written');
  for (const [what, , twin] of deeds) await t.resolves(by('self-test', twin), `${what} of its own`);
});

test('the seed of a self-test opens for its own account, whatever row it is copied to', async (t) => {
  const { sql, by, warden, account, own } = await setUp(t);
  const { database, keys } = warden;
  const seed = newSeed();
  await by('self-test', async (tx) => endFactor(tx, own.id));
  await by('self-test', (tx) => insertSecondFactor(tx, own.id, keys.sealSecret('totp', own.id, seed)));
  await sql.query(
    'insert into second_factor (account_id, sealed_seed, sealed_by, enrolled_at) select $1, sealed_seed, sealed_by, enrolled_at from second_factor where account_id = $2',
    [account, own.id],
  );
  const use = (id: AccountId) =>
    database.withSystem((tx) =>
      verifyCode(
        tx,
        keys,
        { account: id, customer: null, node: idOf<NodeName>('n'), plane: 'partner' },
        codeAt(seed, stepAt(Date.now() / 1000)),
      ),
    );
  await t.rejects(
    use(account),
    { code: 'corrupt', message: /does not verify/ },
    "the node's code, for a bank's account",
  );
  t.match(await use(own.id), { evidence: { account: own.id } }, 'the twin');
});
