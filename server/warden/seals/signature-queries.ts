// Owns: the SQL by which a signature is verified: operators' keys, and changes that were applied.
import type { Transaction } from '../../postgres/database.ts';

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
  const [row] = await tx.query<{
    operator_id: string;
    public_key: Buffer;
    is_ended: boolean;
    name: string;
    role: string;
    state: string;
  }>(
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
