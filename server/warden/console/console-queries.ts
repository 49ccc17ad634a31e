// Owns: the SQL of the console: accounts and keys that a person of a customer may manage, and receipts.
import {
  type AccountId,
  type AccountKind,
  type CredentialId,
  type DirectoryId,
  type FolderId,
  idOf,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareFound, type Purpose } from '../seals/declared.ts';
import { accountOfSelfTest } from '../testers/tester.ts';

export type Managed = {
  readonly id: AccountId;
  readonly name: string;
  readonly kind: AccountKind;
  readonly isActive: boolean;
};

/** Finds an account by its name within the customer. The result is declared for `purpose`. */
export async function findManaged(
  tx: Transaction,
  customer: string,
  name: string,
  purpose: Purpose,
): Promise<Managed | undefined> {
  const [row] = await tx.query<{ id: string; name: string; kind: AccountKind; is_active: boolean }>(
    `select id, name, kind, state = 'active' as is_active from account a where customer_id = $1 and name = $2 and not ${accountOfSelfTest}`,
    [customer, name],
  );
  if (row !== undefined)
    await declareFound(
      tx,
      purpose,
      { kind: 'account', id: row.id },
      { name, customer_id: customer, kind: row.kind, is_self_test: false },
    );
  return row && { id: idOf<AccountId>(row.id), name: row.name, kind: row.kind, isActive: row.is_active };
}

type KeyLine = {
  readonly account: string;
  readonly fingerprint: string;
  readonly state: string;
  readonly validFrom: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt: Date | null;
};

/**
 * Returns the credentials of the account itself and, when `customer` is given, those of all machine accounts of that
 * customer. Revoked ones are left out, and at most 300 are returned.
 */
export async function listKeys(
  tx: Transaction,
  account: AccountId,
  customer: string | null,
  dormantMs: number,
): Promise<readonly KeyLine[]> {
  const rows = await tx.query<{
    account: string;
    fingerprint: string;
    state: string;
    valid_from: Date;
    expires_at: Date;
    last_used_at: Date | null;
  }>(
    `select a.name as account, k.fingerprint, credential_state(k.state, k.valid_from, k.expires_at, k.last_used_at, k.woken_at, $3) as state,
       k.valid_from, k.expires_at, k.last_used_at
     from credential k join account a on a.id = k.account_id
     where (a.id = $1 or (a.customer_id = $2::uuid and a.kind = 'machine')) and k.state <> 'revoked' order by a.name, k.created_at limit 300`,
    [account, customer, dormantMs],
  );
  return rows.map((row) => ({
    account: row.account,
    fingerprint: row.fingerprint,
    state: row.state,
    validFrom: row.valid_from,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  }));
}

/**
 * Returns the receipt of the newest version that this account may know of: one that was published, or one of its own.
 */
export async function findReceipt(
  tx: Transaction,
  folder: FolderId,
  directory: DirectoryId | null,
  name: string,
  account: AccountId,
): Promise<string | undefined> {
  const [row] = await tx.query<{ receipt: string }>(
    `select v.receipt from file f join version v on v.file_id = f.id
     where f.folder_id = $1 and f.directory_id is not distinct from $2 and f.name = $3 and v.receipt is not null
       and (v.published_at is not null or v.account_id = $4) order by v.closed_at desc limit 1`,
    [folder, directory, name, account],
  );
  return row?.receipt;
}

export async function credentialName(tx: Transaction, id: CredentialId): Promise<string> {
  const [row] = await tx.query<{ fingerprint: string }>('select fingerprint from credential where id = $1', [id]);
  return row?.fingerprint ?? '';
}
