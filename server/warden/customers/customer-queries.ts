// Owns: the SQL of customers.
import { type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { sqlState } from '../../postgres/database-errors.ts';
import { declareChange, declareFound, declareNew, type Purpose, type WritePurpose } from '../seals/declared.ts';
import { customerOfSelfTest } from '../testers/tester.ts';

/** Inserts a customer. Returns false when another one has this name now. */
export async function insertCustomer(tx: Transaction, id: CustomerId, name: string): Promise<boolean> {
  declareNew(tx, { kind: 'customer', id }, { name, allowed_proofs: null, is_self_test: false, former_names: [] });
  return (
    (await tx.query('insert into customer (id, name) values ($1, $2) on conflict do nothing returning id', [id, name]))
      .length === 1
  );
}

export type CustomerRow = {
  readonly id: CustomerId;
  readonly state: string;
  readonly allowed: readonly string[] | null;
  /** The names that it had before, oldest first. */
  readonly formerNames: readonly string[];
};

/**
 * Returns a customer by name. Customers of self-tests are not found, because no operator may take away what tests the
 * controls.
 */
export async function findCustomer(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerRow | undefined> {
  const [row] = await tx.query<Omit<CustomerRow, 'id'> & { id: string }>(
    `select id, state, allowed_proofs as allowed, former_names as "formerNames" from customer c where name = $1 and not ${customerOfSelfTest}`,
    [name],
  );
  type Said = { readonly allowed_proofs: readonly string[] | null; readonly former_names: readonly string[] };
  const said = row && (await declareFound<Said>(tx, purpose, { kind: 'customer', id: row.id }, { name }));
  const { allowed_proofs: allowed, former_names: formerNames } = said ?? {
    allowed_proofs: row?.allowed,
    former_names: row?.formerNames,
  };
  return (
    row && { id: idOf<CustomerId>(row.id), state: row.state, allowed: allowed ?? null, formerNames: formerNames ?? [] }
  );
}

/** Returns the present name of the customer that had this name before, if there is one other than `except`. */
export async function findRenamed(
  tx: Transaction,
  formerName: string,
  except: CustomerId | null = null,
): Promise<string | undefined> {
  const [row] = await tx.query<{ name: string }>(
    'select name from customer where $1 = any (former_names) and ($2::uuid is null or id <> $2)',
    [formerName, except],
  );
  return row?.name;
}

/**
 * Gives the customer another name. Returns false when another one has this name now; nothing more can be done in the
 * transaction then.
 */
export async function setCustomerName(
  tx: Transaction,
  id: CustomerId,
  name: string,
  formerNames: readonly string[],
): Promise<boolean> {
  await declareChange(tx, [{ kind: 'customer', id }], { name, former_names: formerNames });
  try {
    await tx.query('update customer set name = $2, former_names = $3 where id = $1', [id, name, formerNames]);
    return true;
  } catch (error) {
    if (sqlState(error) === '23505') return false;
    throw error;
  }
}

/** Returns the names of the first `limit` internal accounts with rights on folders of this customer. */
export async function internalAccountsOf(
  tx: Transaction,
  customer: CustomerId,
  limit: number,
): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select a.name from account a where a.plane = 'internal' and a.id in (select r.account_id from folder_right r where r.customer_id = $1 and r.verbs <> '{}')
     order by a.name limit $2`,
    [customer, limit],
  );
  return rows.map((row) => row.name);
}

/** Sets the state of a customer. Returns false when it had this state already. */
export async function setCustomerState(
  tx: Transaction,
  id: CustomerId,
  state: 'active' | 'suspended',
): Promise<boolean> {
  return (
    (await tx.query('update customer set state = $2 where id = $1 and state <> $2 returning id', [id, state]))
      .length === 1
  );
}

export async function setAllowedProofs(
  tx: Transaction,
  customer: CustomerId,
  allow: readonly string[] | null,
  purpose: WritePurpose,
): Promise<void> {
  await declareChange(tx, [{ kind: 'customer', id: customer }], { allowed_proofs: allow }, purpose);
  await tx.query('update customer set allowed_proofs = $2 where id = $1', [customer, allow]);
}
