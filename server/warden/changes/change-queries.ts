// Owns: the SQL of changes, of operators and their keys, and of prepared emergencies.
import { randomUUID } from 'node:crypto';
import { advisoryLocks } from '../../postgres/advisory-locks.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareFound, declareNew, fromNow, type Purpose, type WritePurpose } from './declared.ts';

export type OperatorRow = { readonly id: string; readonly name: string; readonly role: string; readonly state: string };

/**
 * Returns an operator by name and locks the row, or returns undefined. Role and state are those of the verified row,
 * unless `purpose` is `to-tell`.
 */
export async function findOperator(tx: Transaction, name: string, purpose: Purpose): Promise<OperatorRow | undefined> {
  const [row] = await tx.query<OperatorRow>('select id, name, role, state from operator where name = $1 for update', [name]);
  const said = row && (await declareFound<{ role: string; state: string }>(tx, purpose, { kind: 'operator', id: row.id }, { name }));
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
  const rows = await tx.query('insert into operator (id, name, role) values ($1, $2, $3) on conflict do nothing returning id', [
    id,
    name,
    role,
  ]);
  return rows.length === 1 ? id : undefined;
}

/** Inserts an operator's key. Returns false when somebody has, or had, this key. */
export async function insertOperatorKey(tx: Transaction, operator: string, fingerprint: string, spki: Buffer): Promise<boolean> {
  declareNew(tx, { kind: 'operator-key', id: fingerprint }, { operator_id: operator, public_key: spki.toString('hex'), ended_at: null });
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
export async function endOperatorKey(tx: Transaction, operator: string, fingerprint: string, isAltered: boolean): Promise<boolean> {
  const [found] = await tx.query<{ operator_id: string; is_ended: boolean }>(
    'select operator_id, ended_at is not null as is_ended from operator_key where fingerprint = $1 for update',
    [fingerprint],
  );
  if (found === undefined || (!isAltered && (found.operator_id !== operator || found.is_ended))) return false;
  await declareChange(tx, [{ kind: 'operator-key', id: fingerprint }], { ended_at: fromNow(0) }, 'to-narrow');
  await tx.query('update operator_key set ended_at = clock_timestamp() where fingerprint = $1 and ended_at is null', [fingerprint]);
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

export type FoundKey = {
  readonly operatorId: string;
  readonly publicKey: Buffer;
  readonly isEnded: boolean;
  readonly name: string;
  readonly role: string;
  readonly state: string;
};

/** Returns a key together with the present row of the operator to whom it belongs. */
export async function findKey(tx: Transaction, fingerprint: string): Promise<FoundKey | undefined> {
  const [row] = await tx.query<{ operator_id: string; public_key: Buffer; is_ended: boolean; name: string; role: string; state: string }>(
    `select k.operator_id, k.public_key, k.ended_at is not null as is_ended, o.name, o.role, o.state
     from operator_key k join operator o on o.id = k.operator_id where k.fingerprint = $1`,
    [fingerprint],
  );
  return (
    row && {
      operatorId: row.operator_id,
      publicKey: row.public_key,
      isEnded: row.is_ended,
      name: row.name,
      role: row.role,
      state: row.state,
    }
  );
}

export type NewChange = {
  readonly id: string;
  readonly document: string;
  readonly hash: string;
  readonly operation: string;
  readonly proposer: string;
  readonly proposerKey: string;
  readonly signature: Buffer;
  readonly expiresAt: string;
  readonly reason: string;
};

/**
 * Inserts a proposed change and returns when it expires. Returns `used` when a change of this id was proposed before,
 * and `late` when its end is in the past or more than 24 hours ahead, by the database's clock.
 */
export async function insertChange(tx: Transaction, c: NewChange): Promise<Date | 'used' | 'late'> {
  const [clock] = await tx.query<{ fits: boolean }>(
    "select $1::timestamptz > clock_timestamp() and $1::timestamptz <= clock_timestamp() + interval '24 hours' as fits",
    [c.expiresAt],
  );
  if (clock?.fits !== true) return 'late';
  const [row] = await tx.query<{ expires_at: Date }>(
    `insert into change (id, document, hash, operation, proposer_id, proposer_key, proposer_signature, expires_at, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing returning expires_at`,
    [c.id, c.document, Buffer.from(c.hash, 'hex'), c.operation, c.proposer, c.proposerKey, c.signature, c.expiresAt, c.reason],
  );
  return row?.expires_at ?? 'used';
}

export type OpenChange = {
  readonly id: string;
  readonly document: string;
  readonly state: string;
  readonly isExpired: boolean;
  readonly proposerId: string;
  readonly proposerKey: string;
  readonly proposerSignature: Buffer;
};

/** Returns a change and locks its row until the transaction ends, so that a change is decided once. */
export async function lockChange(tx: Transaction, id: string): Promise<OpenChange | undefined> {
  const [row] = await tx.query<{
    id: string;
    document: string;
    state: string;
    is_expired: boolean;
    proposer_id: string;
    proposer_key: string;
    proposer_signature: Buffer;
  }>(
    'select id, document, state, expires_at <= clock_timestamp() as is_expired, proposer_id, proposer_key, proposer_signature from change where id = $1 for update',
    [id],
  );
  return (
    row && {
      id: row.id,
      document: row.document,
      state: row.state,
      isExpired: row.is_expired,
      proposerId: row.proposer_id,
      proposerKey: row.proposer_key,
      proposerSignature: row.proposer_signature,
    }
  );
}

export async function markApplied(
  tx: Transaction,
  id: string,
  by: string | null,
  approval: { readonly document: string; readonly key: string; readonly signature: Buffer } | null,
  breakGlass: string | null,
): Promise<void> {
  await tx.query(
    `update change set state = 'applied', decided_at = clock_timestamp(), decided_by = $2, approval = $3, approver_key = $4, approver_signature = $5, break_glass_id = $6
     where id = $1`,
    [id, by, approval?.document ?? null, approval?.key ?? null, approval?.signature ?? null, breakGlass],
  );
}

export async function markRejected(tx: Transaction, id: string, by: string, reason: string): Promise<void> {
  await tx.query("update change set state = 'rejected', decided_at = clock_timestamp(), decided_by = $2, reason = $3 where id = $1", [
    id,
    by,
    reason,
  ]);
}

export type AppliedChange = {
  readonly id: string;
  readonly document: string;
  readonly proposerKey: string;
  readonly proposerSignature: string;
  readonly approval: string | null;
  readonly approverKey: string | null;
  readonly approverSignature: string | null;
  readonly breakGlass: string | null;
};

/** Returns those of the named changes that were applied. */
export async function findApplied(tx: Transaction, ids: readonly string[]): Promise<readonly AppliedChange[]> {
  return tx.query<AppliedChange>(
    `select id, document, proposer_key as "proposerKey", encode(proposer_signature, 'base64') as "proposerSignature", approval, approver_key as "approverKey",
       encode(approver_signature, 'base64') as "approverSignature", break_glass_id as "breakGlass" from change where id = any ($1::uuid[]) and state = 'applied'`,
    [ids],
  );
}

/** Inserts a prepared emergency for one operator. Returns its id and until when it may be opened. */
export async function insertBreakGlass(
  tx: Transaction,
  g: {
    readonly operator: string;
    readonly operations: readonly string[];
    readonly hours: number;
    readonly reason: string;
    readonly validDays: number;
  },
): Promise<{ readonly id: string; readonly validUntil: Date }> {
  const id = randomUUID();
  declareNew(
    tx,
    { kind: 'break-glass', id },
    {
      operator_id: g.operator,
      operations: g.operations,
      hours: g.hours,
      valid_until: fromNow(g.validDays * 86_400_000),
      opened_at: null,
      closes_at: null,
      ended_at: null,
    },
  );
  const [row] = await tx.query<{ valid_until: Date }>(
    `insert into break_glass (id, operator_id, operations, hours, reason, created_at, valid_until)
     select $6, $1, $2, $3, $4, now, now + $5 * interval '24 hours' from clock_timestamp() as now returning valid_until`,
    [g.operator, g.operations, g.hours, g.reason, g.validDays, id],
  );
  if (row === undefined) throw new Error('no break-glass was written');
  return { id, validUntil: row.valid_until };
}

export type BreakGlass = {
  readonly id: string;
  readonly operatorId: string;
  readonly operator: string;
  readonly operations: readonly string[];
  readonly hours: number;
  /** One of `prepared`, `open`, `over`. */
  readonly state: string;
  readonly isUsed: boolean;
  readonly isReviewed: boolean;
};

/** Returns an emergency with its present state and locks its row, or returns undefined when it does not exist. */
export async function lockBreakGlass(tx: Transaction, id: string): Promise<BreakGlass | undefined> {
  await tx.query('select 1 from break_glass where id = $1 for update', [id]);
  const [row] = await tx.query<BreakGlass>(
    `select g.id, g.operator_id as "operatorId", o.name as operator, g.operations, g.hours, g.opened_at is not null as "isUsed", g.reviewed_at is not null as "isReviewed",
       case when g.ended_at is not null then 'over' when g.opened_at is null and g.valid_until > clock_timestamp() then 'prepared'
         when g.closes_at > clock_timestamp() then 'open' else 'over' end as state
     from break_glass g join operator o on o.id = g.operator_id where g.id = $1`,
    [id],
  );
  return row;
}

/** Opens a prepared emergency now, for its number of hours. Returns when it closes. */
export async function openBreakGlass(tx: Transaction, id: string, hours: number): Promise<Date> {
  await declareChange(tx, [{ kind: 'break-glass', id }], { opened_at: fromNow(0), closes_at: fromNow(hours * 3_600_000) });
  const [row] = await tx.query<{ closes_at: Date }>(
    "update break_glass set opened_at = now, closes_at = now + hours * interval '1 hour' from clock_timestamp() as now where id = $1 returning closes_at",
    [id],
  );
  return row?.closes_at ?? new Date(0);
}

export async function endBreakGlass(tx: Transaction, id: string): Promise<void> {
  await declareChange(tx, [{ kind: 'break-glass', id }], { ended_at: fromNow(0) }, 'to-narrow');
  await tx.query('update break_glass set ended_at = clock_timestamp() where id = $1 and ended_at is null', [id]);
}

export async function reviewBreakGlass(tx: Transaction, id: string, finding: string): Promise<void> {
  await tx.query('update break_glass set reviewed_at = clock_timestamp(), finding = $2 where id = $1', [id, finding]);
}

/** Returns the emergencies that were opened and that nobody has reviewed, including those that are still open. */
export async function unreviewed(tx: Transaction): Promise<readonly { readonly id: string; readonly operator: string }[]> {
  return tx.query<{ id: string; operator: string }>(
    'select g.id, o.name as operator from break_glass g join operator o on o.id = g.operator_id where g.opened_at is not null and g.reviewed_at is null',
  );
}

/** Returns the names of these customers and accounts by id, for texts that people read. */
export async function namesOf(
  tx: Transaction,
  customers: readonly string[],
  accounts: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await tx.query<{ id: string; name: string }>(
    'select id::text, name from customer where id = any ($1::uuid[]) union all select id::text, name from account where id = any ($2::uuid[])',
    [customers, accounts],
  );
  return new Map(rows.map((row) => [row.id, row.name]));
}
