// Owns: the SQL of the self-test: its customer and accounts, its codes, and its verdicts.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import {
  type AccountId,
  type CredentialId,
  type CustomerId,
  idOf,
  type NodeName,
  type Plane,
} from '../../domain/ids.ts';
import { namedAdvisoryLocks } from '../../postgres/advisory-locks.ts';
import type { Transaction } from '../../postgres/database.ts';
import { seedDigest } from '../factors/factor-queries.ts';
import { declareNew, declareRelied, fromNow } from '../seals/declared.ts';

const keyLifeMs = 30 * 86_400_000;

/**
 * Returns the customer of a node's self-tests, which is created if it does not exist. `isNew` says whether it was
 * created now.
 */
export async function ensureCustomer(
  tx: Transaction,
  name: string,
): Promise<{ readonly id: CustomerId; readonly isNew: boolean }> {
  const id = randomUUID();
  const made = await tx.query<{ id: string }>(
    'insert into customer (id, name, is_self_test) values ($1, $2, true) on conflict do nothing returning id',
    [id, name],
  );
  if (made.length > 0)
    declareNew(tx, { kind: 'customer', id }, { name, allowed_proofs: null, is_self_test: true, former_names: [] });
  const [row] =
    made.length > 0
      ? made
      : await tx.query<{ id: string }>('select id from customer where name = $1 and is_self_test', [name]);
  if (row === undefined) throw new Error('the name of the self-test customer is taken');
  if (made.length === 0) await declareRelied(tx, { kind: 'customer', id: row.id }, { name, is_self_test: true });
  return { id: idOf<CustomerId>(row.id), isNew: made.length > 0 };
}

async function ensureFolder(tx: Transaction, customer: CustomerId, name: string): Promise<string> {
  const id = randomUUID();
  const made = await tx.query(
    `insert into folder (id, customer_id, name, direction, settle_ms, replace_allowed) values ($1, $2, $3, 'collect', 0, true) on conflict do nothing returning id`,
    [id, customer, name],
  );
  if (made.length > 0) {
    declareNew(
      tx,
      { kind: 'folder', id },
      {
        customer_id: customer,
        name,
        direction: 'collect',
        publish_rule: 'on-close',
        marker: '.done',
        settle_ms: 0,
        read_back: false,
        replace_allowed: true,
        directories_allowed: false,
        window_days: null,
        reads_max: null,
        retention_days: null,
      },
    );
    return id;
  }
  const [row] = await tx.query<{ id: string }>('select id from folder where customer_id = $1 and name = $2', [
    customer,
    name,
  ]);
  return row?.id ?? '';
}

const verbs = ['list', 'read', 'write'] as const;

export async function ensureAccount(
  tx: Transaction,
  customer: CustomerId,
  name: string,
  plane: Plane,
  folder: string,
): Promise<AccountId> {
  const folderId = await ensureFolder(tx, customer, folder);
  const [id, owner] = [randomUUID(), plane === 'partner' ? customer : null];
  const made = await tx.query(
    "insert into account (id, customer_id, name, kind, plane, is_self_test) values ($1, $2, $3, 'person', $4, true) on conflict do nothing returning id",
    [id, owner, name, plane],
  );
  if (made.length > 0)
    declareNew(
      tx,
      { kind: 'account', id },
      {
        customer_id: owner,
        name,
        kind: 'person',
        plane,
        read_only: false,
        source_networks: [],
        expires_at: null,
        manages: false,
        is_self_test: true,
        starts_in: null,
      },
    );
  const [row] = await tx.query<{ id: string }>('select id from account where name = $1 and is_self_test for update', [
    name,
  ]);
  if (row === undefined) throw new Error('the name of a self-test account is taken');
  // The name alone does not identify the account, because another account may have been given it for a moment.
  if (made.length === 0)
    await declareRelied(
      tx,
      { kind: 'account', id: row.id },
      { name, is_self_test: true, plane, customer_id: owner, manages: false },
    );
  const right = await tx.query(
    'insert into folder_right (account_id, customer_id, folder_id, verbs) values ($1, $2, $3, $4) on conflict do nothing returning folder_id',
    [row.id, customer, folderId, verbs],
  );
  if (right.length > 0) declareNew(tx, { kind: 'rights', id: row.id }, { [folderId]: [customer, verbs] });
  return idOf<AccountId>(row.id);
}

/**
 * Returns whether this is the account's present key and stays valid for another day, so that nothing needs to be done.
 */
export async function isUsableKey(tx: Transaction, name: string, fingerprint: string): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from credential c join account a on a.id = c.account_id and a.is_self_test and a.name = $1 join second_factor f on f.account_id = a.id and f.sealed_seed is not null
     where c.fingerprint = $2 and c.state = 'active' and c.expires_at > clock_timestamp() + interval '1 day'`,
    [name, fingerprint],
  );
  return rows.length === 1;
}

/**
 * Deletes the keys of a self-test account that have ended and that no session names, with their budgets and seals. Keys
 * of other accounts are not touched.
 */
export async function forgetUnusedKeys(tx: Transaction, name: string): Promise<void> {
  await tx.query('select forget_self_test_keys($1)', [name]);
}

/**
 * Locks the account of a node's self-test by name, so that only one transaction at a time, on whichever warden, creates
 * or changes it.
 */
export async function lockTester(tx: Transaction, name: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1, hashtext($2))', [namedAdvisoryLocks.selfTest, name]);
}

/** Makes this key the account's only usable one. Throws `conflict` for a key that any account has. */
export async function replaceKey(
  tx: Transaction,
  account: AccountId,
  algorithm: string,
  blob: Buffer,
  fingerprint: string,
): Promise<CredentialId> {
  await tx.query("update credential set state = 'revoked' where account_id = $1 and state <> 'revoked'", [account]);
  const id = randomUUID();
  declareNew(
    tx,
    { kind: 'credential', id },
    {
      account_id: account,
      type: 'public-key',
      algorithm,
      public_key: blob.toString('hex'),
      password_hash: null,
      fingerprint,
      issued_by: 'self-test',
      valid_from: fromNow(0),
      issued_until: fromNow(keyLifeMs),
      read_only: false,
      source_networks: [],
    },
  );
  const made = await tx.query(
    `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
     values ($1, $2, 'public-key', $3, $4, $5, 'self-test', clock_timestamp() + $6 * interval '1 millisecond')
     on conflict do nothing returning id`,
    [id, account, algorithm, blob, fingerprint, keyLifeMs],
  );
  // Some account, whichever it is, has this key already. A key belongs to one account.
  if (made.length === 0) throw new CofferdamError('conflict', 'the self-test needs another key');
  return idOf<CredentialId>(id);
}

type OwnSeed = {
  readonly account: AccountId;
  readonly sealed: Buffer;
  readonly sealedBy: string;
  readonly used: readonly number[];
};

/**
 * Returns the seed of a self-test account and the time steps that were used. No other account is found. The account and
 * its factor are declared as relied on; so this must be called inside `sealing`, which verifies them.
 */
export async function findOwnSeed(tx: Transaction, name: string): Promise<OwnSeed | undefined> {
  const [row] = await tx.query<{ id: string; sealed_seed: Buffer; sealed_by: string; used: readonly number[] }>(
    `select a.id, f.sealed_seed, f.sealed_by, coalesce((select array_agg(s.step::int) from totp_step s where s.account_id = a.id), '{}') as used
     from account a join second_factor f on f.account_id = a.id and f.sealed_seed is not null where a.name = $1 and a.is_self_test`,
    [name],
  );
  if (row === undefined) return undefined;
  await declareRelied(tx, { kind: 'account', id: row.id }, { name, is_self_test: true });
  await declareRelied(
    tx,
    { kind: 'second-factor', id: row.id },
    { account_id: row.id, sealed_seed: seedDigest(row.sealed_seed), sealed_by: row.sealed_by },
  );
  return { account: idOf<AccountId>(row.id), sealed: row.sealed_seed, sealedBy: row.sealed_by, used: row.used };
}

type Verdict = { readonly check: string; readonly bites: boolean; readonly text: string };

export async function writeVerdict(tx: Transaction, node: NodeName, { check, bites, text }: Verdict): Promise<void> {
  await tx.query(
    `insert into self_test (node, "check", bites, text) values ($1, $2, $3, $4)
     on conflict (node, "check") do update set bites = excluded.bites, text = excluded.text, at = clock_timestamp(),
       since = case when self_test.bites = excluded.bites then self_test.since else clock_timestamp() end`,
    [node, check, bites, text],
  );
}

/**
 * Returns the nodes that renew their lease and have not reported for `quietMs`, counted at the earliest from their
 * start. A node that drains is left out, because it accepts nobody, not even its own tests.
 */
export async function silentNodes(tx: Transaction, quietMs: number): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select n.name from node n where n.last_seen_at > clock_timestamp() - interval '3 seconds' and n.drain_start_id is distinct from n.start_id
       and coalesce(n.started_at, '-infinity') < clock_timestamp() - $1 * interval '1 millisecond'
       and not exists (select 1 from self_test s where s.node = n.name and s.at > clock_timestamp() - $1 * interval '1 millisecond')`,
    [quietMs],
  );
  return rows.map((row) => row.name);
}
