// Owns: the SQL of operators and their keys.
import { randomUUID } from 'node:crypto';
import { advisoryLocks } from '../../postgres/advisory-locks.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  declareChange,
  declareFound,
  declareNew,
  fromNow,
  type Purpose,
  type WritePurpose,
} from '../seals/declared.ts';

export type OperatorRow = { readonly id: string; readonly name: string; readonly role: string; readonly state: string };

/**
 * Returns an operator by name and locks the row, or returns undefined. Role and state are those of the verified row,
 * unless `purpose` is `to-tell`.
 */
export async function findOperator(tx: Transaction, name: string, purpose: Purpose): Promise<OperatorRow | undefined> {
  const [row] = await tx.query<OperatorRow>('select id, name, role, state from operator where name = $1 for update', [
    name,
  ]);
  const said =
    row &&
    (await declareFound<{ role: string; state: string }>(tx, purpose, { kind: 'operator', id: row.id }, { name }));
  return row && { ...row, role: said?.role ?? row.role, state: said?.state ?? row.state };
}

/** Takes an advisory lock for the rest of the transaction, so that one bootstrap runs at a time. */
export async function lockOperators(tx: Transaction): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [advisoryLocks.bootstrap]);
}

/** Returns how many operators' keys were ever stored, which is 0 only before the bootstrap. */
export async function countOperators(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ n: number }>('select count(*) as n from operator_key');
  return row?.n ?? 0;
}

/** Inserts an operator and returns the id, or undefined when the name is taken. */
export async function insertOperator(tx: Transaction, name: string, role: string): Promise<string | undefined> {
  const id = randomUUID();
  declareNew(tx, { kind: 'operator', id }, { name, role, state: 'active' });
  const rows = await tx.query(
    'insert into operator (id, name, role) values ($1, $2, $3) on conflict do nothing returning id',
    [id, name, role],
  );
  return rows.length === 1 ? id : undefined;
}

/** Inserts an operator's key. Returns false when somebody has, or had, this key. */
export async function insertOperatorKey(
  tx: Transaction,
  operator: string,
  fingerprint: string,
  spki: Buffer,
): Promise<boolean> {
  declareNew(
    tx,
    { kind: 'operator-key', id: fingerprint },
    { operator_id: operator, public_key: spki.toString('hex'), ended_at: null },
  );
  const rows = await tx.query(
    'insert into operator_key (fingerprint, operator_id, public_key) values ($1, $2, $3) on conflict do nothing returning fingerprint',
    [fingerprint, operator, spki],
  );
  return rows.length === 1;
}

/**
 * Ends an operator's key. Returns false when this operator has no such key in use. With `isAltered` the key is ended
 * whatever its row says about its owner and its end, because somebody altered that row.
 */
export async function endOperatorKey(
  tx: Transaction,
  operator: string,
  fingerprint: string,
  isAltered: boolean,
): Promise<boolean> {
  const [found] = await tx.query<{ operator_id: string; is_ended: boolean }>(
    'select operator_id, ended_at is not null as is_ended from operator_key where fingerprint = $1 for update',
    [fingerprint],
  );
  if (found === undefined || (!isAltered && (found.operator_id !== operator || found.is_ended))) return false;
  await declareChange(tx, [{ kind: 'operator-key', id: fingerprint }], { ended_at: fromNow(0) }, 'to-narrow');
  await tx.query('update operator_key set ended_at = clock_timestamp() where fingerprint = $1 and ended_at is null', [
    fingerprint,
  ]);
  return true;
}

export async function setOperator(
  tx: Transaction,
  id: string,
  role: string,
  state: 'active' | 'suspended',
  purpose: WritePurpose = 'to-rely',
): Promise<void> {
  await declareChange(tx, [{ kind: 'operator', id }], { role, state }, purpose);
  await tx.query('update operator set role = $2, state = $3 where id = $1', [id, role, state]);
}
