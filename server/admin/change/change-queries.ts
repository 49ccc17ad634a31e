// Owns: the SQL of what an operator may read about changes that two operators sign.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { iso, isoOrNull } from '../reading/rows.ts';

type ChangeRow = Result<OperatorToAdmin, 'change.list'>['changes'][number];

type RawChange = Omit<ChangeRow, 'proposedAt' | 'expiresAt' | 'decidedAt'> & {
  proposedAt: Date;
  expiresAt: Date;
  decidedAt: Date | null;
};

const shaped = (row: RawChange): ChangeRow => ({
  ...row,
  proposedAt: iso(row.proposedAt),
  expiresAt: iso(row.expiresAt),
  decidedAt: isoOrNull(row.decidedAt),
});

/** Returns the change with this id, or the waiting changes, or all changes since a time; newest first. */
export async function listChanges(
  tx: Transaction,
  which: { readonly id: string | null; readonly all: boolean; readonly since: string | null },
): Promise<readonly ChangeRow[]> {
  const rows = await tx.query<RawChange>(
    `select c.id as change, c.operation, case when c.state = 'proposed' and c.expires_at <= clock_timestamp() then 'expired' else c.state end as state,
       p.name as proposer, c.proposed_at as "proposedAt", c.expires_at as "expiresAt", coalesce(c.reason, '') as reason, d.name as "decidedBy",
       c.decided_at as "decidedAt", c.break_glass_id as "breakGlass"
     from change c join operator p on p.id = c.proposer_id left join operator d on d.id = c.decided_by
     where case when $1::uuid is not null then c.id = $1 when $2 then true else c.state = 'proposed' and c.expires_at > clock_timestamp() end
       and ($3::timestamptz is null or c.proposed_at >= $3) order by c.proposed_at desc limit 500`,
    [which.id, which.all, which.since],
  );
  return rows.map(shaped);
}

type SignedChange = {
  readonly document: string;
  readonly proposerSignature: string;
  readonly proposerPublicKey: string;
  readonly approval: string | null;
  readonly approverSignature: string | null;
};

/** Returns the signed text of a change with its signatures and the proposer's public key, or undefined. */
export async function findSigned(tx: Transaction, id: string): Promise<SignedChange | undefined> {
  const [row] = await tx.query<{
    document: string;
    proposer_signature: Buffer;
    public_key: Buffer;
    approval: string | null;
    approver_signature: Buffer | null;
  }>(
    `select c.document, c.proposer_signature, k.public_key, c.approval, c.approver_signature from change c join operator_key k on k.fingerprint = c.proposer_key
     where c.id = $1`,
    [id],
  );
  return (
    row && {
      document: row.document,
      proposerSignature: row.proposer_signature.toString('base64'),
      proposerPublicKey: row.public_key.toString('base64'),
      approval: row.approval,
      approverSignature: row.approver_signature?.toString('base64') ?? null,
    }
  );
}
