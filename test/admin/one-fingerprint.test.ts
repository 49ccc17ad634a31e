// A fingerprint that is in two rows: one that nobody proved and that ended, and the row of its owner. Whatever names
// this fingerprint means the owner's row.
import { randomBytes, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { findExposedCredential } from '../../server/admin/budget/budget-queries.ts';
import { showBudgets } from '../../server/admin/budget/budget-reports.ts';
import { countLockedOut, credentialHistory, findCredential } from '../../server/admin/credential/credential-queries.ts';
import { type AccountId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import { wireString } from '../../server/domain/ssh-wire.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { lockBudgetsOf } from '../../server/warden/budgets/budget-command-queries.ts';
import { findCredentialByFingerprint } from '../../server/warden/credentials/credential-queries.ts';
import {
  type Acting,
  addKey,
  endUnproved,
  fingerprintOfLine,
  revoke,
} from '../../server/warden/credentials/credentials.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { testPasswords } from '../support/database.ts';
import { startSealBench } from '../support/seal-bench.ts';

const dayMs = 86_400_000;
const dormantMs = 90 * dayMs;
const ages = { dayMs, lifeDays: 300, lifeMaxDays: 400, overlapDays: 2, dormantDays: 90 };

async function setUp(t: Test) {
  const { sql, warden: bench } = await startSealBench(t);
  const warden = { ...bench, ages, edges: [], budgets: wideBudgets };
  const officers = await twoOfficers(bench);
  const as =
    (maker: 'operator' | 'console') =>
    <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
      bench.database.withSystem((tx) => sealing(tx, bench, { maker, change: () => null }, () => work(tx)));
  const doing = as('console');
  const acting = (tx: Transaction): Acting =>
    ({ tx, warden, by: 'x', endSessions: async () => 0 }) as unknown as Acting;
  const makeHolder = async (name: string) => {
    const holder = { id: idOf<AccountId>(randomUUID()), name, customer: idOf<CustomerId>(randomUUID()) };
    await as('operator')((tx) => insertCustomer(tx, holder.customer, `bank-${name}`));
    await officers.account({
      ...holder,
      kind: 'machine',
      plane: 'partner',
      contact: null,
      isDemo: false,
      manages: false,
    });
    return holder;
  };
  const [squatter, owner] = [await makeHolder('squatter'), await makeHolder('owner')];
  const publicKey = `ssh-ed25519 ${Buffer.concat([wireString('ssh-ed25519'), wireString(randomBytes(32))]).toString('base64')}`;
  const fingerprint = fingerprintOfLine(publicKey);
  await doing((tx) => addKey(acting(tx), { holder: squatter, publicKey, isProved: false, replaces: null }));
  await doing(async (tx) => {
    await endUnproved(acting(tx), owner, fingerprint);
    await addKey(acting(tx), { holder: owner, publicKey, isProved: true, replaces: null });
  });
  const admin = new Database({
    url: withCredentials(sql.migrateUrl, 'cofferdam_admin', testPasswords.admin),
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => admin.close());
  const ids = await sql.query<{ id: string; name: string }>(
    'select k.id, a.name from credential k join account a on a.id = k.account_id',
  );
  const idOfHolder = (name: string): string | undefined => ids.find((one) => one.name === name)?.id;
  return { sql, doing, acting, admin, fingerprint, idOfHolder };
}

test('every look-up by a fingerprint means the row of its owner', async (t) => {
  const { sql, doing, acting, admin, fingerprint, idOfHolder } = await setUp(t);
  t.match(
    await sql.query(
      'select a.name, k.state, k.fingerprint from credential k join account a on a.id = k.account_id order by k.created_at',
    ),
    [
      { name: 'squatter', state: 'revoked', fingerprint },
      { name: 'owner', state: 'active', fingerprint },
    ],
    'two rows',
  );
  const ask = async () => ({
    shown: await admin.withSystem((tx) => findCredential(tx, dormantMs, fingerprint)),
    exposed: await admin.withSystem((tx) => findExposedCredential(tx, fingerprint, dormantMs)),
    history: (await admin.withSystem((tx) => credentialHistory(tx, fingerprint))).map((one) => one.kind),
    budgets: await admin.withSystem((tx) => showBudgets(tx, { kind: 'credential', fingerprint })),
    locked: await doing((tx) =>
      lockBudgetsOf(tx, { kind: 'credential', name: fingerprint, customer: null }, 'to-narrow'),
    ),
    found: await doing((tx) => findCredentialByFingerprint(tx, fingerprint, 'to-rely')),
  });
  const first = await ask();
  t.match(first.shown, { account: 'owner', state: 'active' }, 'credential show');
  t.match(first.exposed, { account: 'owner', blocked: null }, 'exposure is no false all-clear');
  t.same(first.history, ['credential.added'], 'its history is not mixed with that of another bank');
  const own = await sql.query<{ id: string }>('select id from budget where credential_id = $1 order by id', [
    idOfHolder('owner'),
  ]);
  t.same(
    first.locked.map((one) => String(one.id)),
    own.map((one) => String(one.id)),
    'a change of its budgets changes those of one bank',
  );
  t.notMatch(JSON.stringify(first.budgets), 'squatter', 'budget show');
  t.match(JSON.stringify(first.budgets), 'owner');
  t.match(first.found, { accountName: 'owner' }, 'and so do commands');
  t.equal(
    await admin.withSystem((tx) => countLockedOut(tx, dormantMs, [fingerprint])),
    1,
    'whom a revocation locks out: its owner alone',
  );

  await doing(async (tx) => {
    const found = await findCredentialByFingerprint(tx, fingerprint, 'to-narrow');
    if (found !== undefined) await revoke(acting(tx), found, 'stolen');
  });
  const last = await ask();
  t.match(
    last.shown,
    { account: 'owner', state: 'revoked' },
    'also when it has ended: who proved it, before who did not',
  );
  t.match(last.exposed, { account: 'owner', blocked: 'the credential is revoked' });
  t.match(last.history, ['credential.revoked', 'credential.added']);
  t.match(last.found, { accountName: 'owner' });
});
