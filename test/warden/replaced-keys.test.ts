// A key that replaces another one takes over its restrictions. So the replaced key must be a key of the same account,
// and must be as the warden wrote it; the account, too, must be the one with that name.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { findUsable, touchCredential } from '../../server/warden/authentication/login-queries.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { findCredentialByFingerprint } from '../../server/warden/credentials/credential-queries.ts';
import {
  type Added,
  addKey,
  endUnproved,
  fingerprintOfLine,
  type KeyWish,
} from '../../server/warden/credentials/credentials.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { startSealBench } from '../support/seal-bench.ts';

function makePublicKey(): string {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from('ssh-ed25519')), part(Buffer.from(x ?? '', 'base64url'))]).toString('base64')}`;
}

async function setUp(t: Test) {
  const bench = await startSealBench(t);
  const { sql } = bench;
  const ages = { dayMs: 86_400_000, lifeDays: 300, lifeMaxDays: 400, overlapDays: 2 };
  const warden = { ...bench.warden, ages, edges: [], budgets: wideBudgets } as unknown as Warden;
  const customer = idOf<CustomerId>(randomUUID());
  const doing = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    warden.database.withSystem((tx) => sealing(tx, warden, { maker: 'console', change: () => null }, () => work(tx)));
  await warden.database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'operator', change: () => null }, () => insertCustomer(tx, customer, 'acme')),
  );
  const officers = await twoOfficers(bench.warden);
  const machine = { kind: 'machine', plane: 'partner', contact: null, isDemo: false, manages: false } as const;
  const holderOf = async (name: string): Promise<KeyWish['holder']> => {
    const holder = { id: idOf<AccountId>(randomUUID()), name, customer };
    await officers.account({ ...holder, ...machine });
    return holder;
  };
  const holders = [await holderOf('north'), await holderOf('south')] as const;
  const add = (holder: KeyWish['holder'], wish: Partial<KeyWish> & { readonly old?: string } = {}): Promise<Added> =>
    doing(async (tx) => {
      const replaces =
        wish.old === undefined ? null : ((await findCredentialByFingerprint(tx, wish.old, 'to-rely')) ?? null);
      return addKey(
        { tx, warden, by: 'a test', endSessions: async () => 0 },
        { holder, publicKey: makePublicKey(), isProved: false, replaces, ...wish },
      );
    });
  const prove = (holder: KeyWish['holder'], publicKey: string): Promise<Added> =>
    doing(async (tx) => {
      const acting = { tx, warden, by: 'a test', endSessions: async () => 0 };
      await endUnproved(acting, holder, fingerprintOfLine(publicKey));
      return addKey(acting, { holder, publicKey, isProved: true, replaces: null });
    });
  const use = (fingerprint: string): Promise<void> =>
    warden.database.withSystem(async (tx) => {
      const found = await findUsable(tx, fingerprint, 86_400_000);
      if (found === undefined) throw new Error('no such key');
      await touchCredential(tx, found.id, '192.0.2.1');
    });
  const keys = async (): Promise<number> =>
    (await sql.query<{ n: number }>('select count(*)::int as n from credential'))[0]?.n ?? 0;
  const [north, south] = holders;
  return { sql, north, south, add, prove, use, keys };
}

test('a key replaces a key of the same account only', async (t) => {
  const { sql, north, south, add, keys } = await setUp(t);
  const theirs = await add(south);
  await t.rejects(add(north, { old: theirs.fingerprint }), {
    code: 'conflict',
    message: /a key of the same account only/,
  });
  t.equal(await keys(), 1, 'nothing was done');
  const ours = await add(north, { readOnly: true, networks: ['192.0.2.0/24'] });
  const next = await add(north, { old: ours.fingerprint });
  t.match(
    await sql.query('select read_only, source_networks::text[] as networks from credential where fingerprint = $1', [
      next.fingerprint,
    ]),
    [{ read_only: true, networks: ['192.0.2.0/24'] }],
    'the twin: and what the old one may not do, the new one may not either',
  );
});

test('a new key is made only from what the warden wrote', async (t) => {
  const { sql, north, south, add, keys } = await setUp(t);
  const ours = await add(north, { readOnly: true });
  const altered = { code: 'denied', message: /it was altered before/ };
  await sql.query('update credential set read_only = false where fingerprint = $1', [ours.fingerprint]);
  await t.rejects(add(north, { old: ours.fingerprint }), altered, 'an old key that was widened');
  t.equal(await keys(), 1, 'nothing was done');
  await sql.query("update account set name = 'between' where name = 'south'");
  await t.rejects(add({ ...south, name: 'between' }), altered, 'an account that has another name than it was given');
  await sql.query("update account set name = 'south' where name = 'between'");
  await t.rejects(
    add({ ...south, name: 'north' }),
    { code: 'denied', message: /is not the one of this name/ },
    'found under a name that it has no more',
  );
  t.equal(await keys(), 1);
});

test('a new key has the caps of the one that it replaces, as the warden wrote them', async (t) => {
  const { sql, north, add, keys } = await setUp(t);
  const ours = await add(north);
  const next = await add(north, { old: ours.fingerprint });
  const capOf = async (fingerprint: string): Promise<unknown> =>
    (
      await sql.query<{ cap: number }>(
        "select b.cap_hour_bytes::float8 as cap from budget b join credential c on c.id = b.credential_id where c.fingerprint = $1 and b.direction = 'out'",
        [fingerprint],
      )
    )[0]?.cap;
  t.type(await capOf(ours.fingerprint), 'number');
  t.equal(await capOf(next.fingerprint), await capOf(ours.fingerprint), 'the twin: nobody altered them');
  await sql.query(
    "update budget b set cap_hour_bytes = cap_hour_bytes + 1 from credential c where c.id = b.credential_id and c.fingerprint = $1 and b.direction = 'out'",
    [next.fingerprint],
  );
  await t.rejects(add(north, { old: next.fingerprint }), { code: 'denied', message: /budget .*it was altered before/ });
  t.equal(await keys(), 2, 'nothing was done');
});

test('whoever proves to hold a key gets it from an account that never did', async (t) => {
  const { sql, north, south, add, prove, use } = await setUp(t);
  const stateOf = async (account: string): Promise<readonly string[]> =>
    (
      await sql.query<{ state: string }>('select state from credential where account_id = $1 order by created_at', [
        account,
      ])
    ).map((one) => one.state);
  const taken = { code: 'conflict', message: /is or was registered/ };

  const squatted = makePublicKey();
  await add(south, { publicKey: squatted });
  await t.rejects(add(north, { publicKey: squatted }), taken, 'without a proof nobody takes it over');
  const theirs = await prove(north, squatted);
  t.same(
    [await stateOf(south.id), await stateOf(north.id)],
    [['revoked'], ['active']],
    'with one it is theirs, and the other ends',
  );
  t.match(
    await sql.query("select account_id, text, contact_text from alert where kind = 'credential.proved-elsewhere'"),
    [{ account_id: south.id, text: /north proved to have it/, contact_text: /^(?!.*north).*is not yours/ }],
    'an alert, which does not tell the other house whose it is',
  );
  await t.rejects(add(south, { publicKey: squatted }), taken, 'it does not come back');
  await t.rejects(prove(south, squatted), taken, 'a key that somebody proved is taken by nobody');
  t.equal((await sql.query('select 1 from alert')).length, 1);

  const used = makePublicKey();
  const { fingerprint } = await add(south, { publicKey: used });
  await use(fingerprint);
  await t.rejects(prove(north, used), taken, 'its first use is a proof, too');
  t.same(await stateOf(south.id), ['revoked', 'active']);
  await sql.query("update credential set state = 'revoked' where fingerprint = $1", [theirs.fingerprint]);
  await t.rejects(prove(south, squatted), taken, 'nor is one that was proved and is over');
});
