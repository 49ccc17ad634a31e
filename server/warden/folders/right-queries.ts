// Owns: the SQL of the rights of accounts on folders.
// Must never: delete a right. One that was taken away has no verbs: it opens nothing, and what an account may do still
// has a row that can be verified.
import { type AccountId, type CustomerId, type FolderId, idOf, type Verb } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareFound, declareNew, type Purpose, type WritePurpose } from '../seals/declared.ts';
import { hasSeal } from '../seals/seal-queries.ts';
import { alteredBefore } from '../seals/seals.ts';

export type Right = { readonly customer: CustomerId; readonly folder: FolderId; readonly verbs: readonly Verb[] };

/** Inserts a right of an account that is made in this transaction, or on a folder that is. */
export async function insertRight(
  tx: Transaction,
  account: AccountId,
  customer: CustomerId,
  folder: FolderId,
  verbs: readonly Verb[],
): Promise<void> {
  declareNew(tx, { kind: 'rights', id: account }, { [folder]: [customer, verbs] });
  await putRight(tx, account, { customer, folder, verbs });
}

const putRight = async (tx: Transaction, account: AccountId, right: Right): Promise<void> => {
  await tx.query(
    `insert into folder_right (account_id, customer_id, folder_id, verbs) values ($1, $2, $3, $4)
     on conflict (account_id, folder_id) do update set verbs = excluded.verbs`,
    [account, right.customer, right.folder, right.verbs],
  );
};

/**
 * Returns the rights of an account, those included of which everything was taken away. Throws `denied`, with an alert,
 * when the account had rights and all of them are gone: no right is ever deleted.
 */
export async function rightsOf(tx: Transaction, account: AccountId, purpose: Purpose): Promise<readonly Right[]> {
  const rows = await tx.query<{ customer_id: string; folder_id: string; verbs: readonly Verb[] }>(
    'select customer_id, folder_id, verbs from folder_right where account_id = $1 order by folder_id',
    [account],
  );
  const name = { kind: 'rights', id: account } as const;
  if (rows.length === 0 && (await hasSeal(tx, name))) throw alteredBefore(tx, name);
  const said = await declareFound<Readonly<Record<string, readonly [string, readonly Verb[]]>>>(
    tx,
    rows.length === 0 ? 'to-tell' : purpose,
    name,
    {},
  );
  if (said === undefined)
    return rows.map((row) => ({
      customer: idOf<CustomerId>(row.customer_id),
      folder: idOf<FolderId>(row.folder_id),
      verbs: row.verbs,
    }));
  return Object.entries(said).map(([folder, [customer, verbs]]) => ({
    customer: idOf<CustomerId>(customer),
    folder: idOf<FolderId>(folder),
    verbs,
  }));
}

/**
 * Writes these rights of an account. `hasAny` says whether the account had a right before, so that its row of rights
 * exists.
 */
export async function writeRights(
  tx: Transaction,
  account: AccountId,
  rights: readonly Right[],
  hasAny: boolean,
  purpose: WritePurpose,
): Promise<void> {
  const facts = Object.fromEntries(rights.map(({ folder, customer, verbs }) => [folder, [customer, verbs]]));
  if (hasAny) await declareChange(tx, [{ kind: 'rights', id: account }], facts, purpose);
  else declareNew(tx, { kind: 'rights', id: account }, facts);
  for (const right of rights) await putRight(tx, account, right);
}
