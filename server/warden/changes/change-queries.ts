// Owns: the SQL of changes, of operators and their keys, and of prepared emergencies.
import type { Transaction } from '../../postgres/database.ts';

type NewChange = {
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
    [
      c.id,
      c.document,
      Buffer.from(c.hash, 'hex'),
      c.operation,
      c.proposer,
      c.proposerKey,
      c.signature,
      c.expiresAt,
      c.reason,
    ],
  );
  return row?.expires_at ?? 'used';
}

type OpenChange = {
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
  await tx.query(
    "update change set state = 'rejected', decided_at = clock_timestamp(), decided_by = $2, reason = $3 where id = $1",
    [id, by, reason],
  );
}
