// Owns: the SQL of the self-test: its customer and accounts, its codes, its verdicts.
import { randomUUID } from 'node:crypto';
import { type AccountId, type CredentialId, type CustomerId, idOf, type NodeName, type Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

/** The one customer of all self-tests; its id, and whether it was made now. */
export async function ensureCustomer(tx: Transaction, name: string): Promise<{ readonly id: CustomerId; readonly isNew: boolean }> {
  const made = await tx.query<{ id: string }>(
    'insert into customer (id, name, is_self_test) values ($1, $2, true) on conflict do nothing returning id',
    [randomUUID(), name],
  );
  const [row] = made.length > 0 ? made : await tx.query<{ id: string }>('select id from customer where name = $1 and is_self_test', [name]);
  if (row === undefined) throw new Error('the name of the self-test customer is taken');
  return { id: idOf<CustomerId>(row.id), isNew: made.length > 0 };
}

export async function ensureAccount(tx: Transaction, customer: CustomerId, name: string, plane: Plane, folder: string): Promise<AccountId> {
  await tx.query(
    `insert into folder (id, customer_id, name, direction, settle_ms, replace_allowed) values ($1, $2, $3, 'collect', 0, true) on conflict do nothing`,
    [randomUUID(), customer, folder],
  );
  await tx.query(
    "insert into account (id, customer_id, name, kind, plane, is_self_test) values ($1, $2, $3, 'person', $4, true) on conflict do nothing",
    [randomUUID(), plane === 'partner' ? customer : null, name, plane],
  );
  const [row] = await tx.query<{ id: string }>('select id from account where name = $1 and is_self_test for update', [name]);
  if (row === undefined) throw new Error('the name of a self-test account is taken');
  await tx.query(
    `insert into folder_right (account_id, customer_id, folder_id, verbs) select $1, customer_id, id, '{list,read,write}' from folder
     where customer_id = $2 and name = $3 on conflict do nothing`,
    [row.id, customer, folder],
  );
  return idOf<AccountId>(row.id);
}

/** Whether this is the key that the account uses now: then there is nothing to do. */
export async function isUsableKey(tx: Transaction, name: string, fingerprint: string): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from credential c join account a on a.id = c.account_id and a.is_self_test and a.name = $1 join second_factor f on f.account_id = a.id
     where c.fingerprint = $2 and c.state = 'active' and c.expires_at > clock_timestamp() + interval '1 day'`,
    [name, fingerprint],
  );
  return rows.length === 1;
}

/** Keys of a self-test account that are over and that no session names: rows, budgets and seals go. Of no other account. */
export async function forgetUnusedKeys(tx: Transaction, name: string): Promise<void> {
  await tx.query('select forget_self_test_keys($1)', [name]);
}

/** The account's only usable key from now on. */
export async function replaceKey(
  tx: Transaction,
  account: AccountId,
  algorithm: string,
  blob: Buffer,
  fingerprint: string,
): Promise<CredentialId> {
  await tx.query("update credential set state = 'revoked' where account_id = $1 and state <> 'revoked'", [account]);
  const id = randomUUID();
  await tx.query(
    `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
     values ($1, $2, 'public-key', $3, $4, $5, 'self-test', clock_timestamp() + interval '30 days')`,
    [id, account, algorithm, blob, fingerprint],
  );
  return idOf<CredentialId>(id);
}

export async function replaceSeed(tx: Transaction, account: AccountId, sealed: Buffer, sealedBy: string): Promise<void> {
  await tx.query(
    `insert into second_factor (account_id, sealed_seed, sealed_by) values ($1, $2, $3)
     on conflict (account_id) do update set sealed_seed = excluded.sealed_seed, sealed_by = excluded.sealed_by, enrolled_at = clock_timestamp()`,
    [account, sealed, sealedBy],
  );
}

export type OwnSeed = { readonly account: AccountId; readonly sealed: Buffer; readonly sealedBy: string; readonly used: readonly number[] };

/** The seed of a self-test account, and the steps that were used up. Of no other account. */
export async function findOwnSeed(tx: Transaction, name: string): Promise<OwnSeed | undefined> {
  const [row] = await tx.query<{ id: string; sealed_seed: Buffer; sealed_by: string; used: readonly number[] }>(
    `select a.id, f.sealed_seed, f.sealed_by, coalesce((select array_agg(s.step::int) from totp_step s where s.account_id = a.id), '{}') as used
     from account a join second_factor f on f.account_id = a.id where a.name = $1 and a.is_self_test`,
    [name],
  );
  return row && { account: idOf<AccountId>(row.id), sealed: row.sealed_seed, sealedBy: row.sealed_by, used: row.used };
}

export type Verdict = { readonly check: string; readonly bites: boolean; readonly text: string };

export async function writeVerdict(tx: Transaction, node: NodeName, { check, bites, text }: Verdict): Promise<void> {
  await tx.query(
    `insert into self_test (node, "check", bites, text) values ($1, $2, $3, $4)
     on conflict (node, "check") do update set bites = excluded.bites, text = excluded.text, at = clock_timestamp(),
       since = case when self_test.bites = excluded.bites then self_test.since else clock_timestamp() end`,
    [node, check, bites, text],
  );
}

/** Nodes that renew their lease and have not reported for so long; one that drains takes nobody, its own tests neither. */
export async function silentNodes(tx: Transaction, quietMs: number): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select n.name from node n where n.last_seen_at > clock_timestamp() - interval '3 seconds' and n.drain_start_id is distinct from n.start_id
       and not exists (select 1 from self_test s where s.node = n.name and s.at > clock_timestamp() - $1 * interval '1 millisecond')`,
    [quietMs],
  );
  return rows.map((row) => row.name);
}
