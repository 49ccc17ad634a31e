// Owns: the SQL of what an account may still store, which clients ask for before they begin (`df`).
import type { AccountId, CredentialId, CustomerId, Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

/** Cap and room of the tightest window: of bytes, and of files. The two may be different windows. */
type UploadRoom = {
  readonly capBytes: number;
  readonly freeBytes: number;
  readonly capFiles: number;
  readonly freeFiles: number;
};
const none: UploadRoom = { capBytes: 0, freeBytes: 0, capFiles: 0, freeFiles: 0 };

/**
 * Returns what may still be stored for this customer by this account with this credential; nothing when it has no
 * budget.
 */
export async function uploadRoom(
  tx: Transaction,
  of: {
    readonly credential: CredentialId;
    readonly account: AccountId;
    readonly customer: CustomerId | null;
    readonly plane: Plane;
  },
): Promise<UploadRoom> {
  const [row] = await tx.query<UploadRoom>(
    `select cap_bytes as "capBytes", free_bytes as "freeBytes", cap_items as "capFiles", free_items as "freeFiles"
     from upload_room($1, $2, $3, $4)`,
    [of.credential, of.account, of.customer, of.plane],
  );
  return row ?? none;
}
