// Owns: the SQL by which another publish rule reaches the files of a folder that are not published yet.
import { type AccountId, type FolderId, idOf, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

type Unpublished = {
  readonly version: VersionId;
  readonly state: 'partial' | 'held' | 'settling';
  readonly account: AccountId;
  readonly session: SessionId;
};

/**
 * Locks and returns the unpublished versions of a folder, `max` at the most. The row of the folder must be locked
 * already: so none is added meanwhile. Uploads are locked as well, so that a close or a rename under way has either
 * ended, or begins again to look for the rule.
 */
export async function lockUnpublished(tx: Transaction, folder: FolderId, max: number): Promise<readonly Unpublished[]> {
  const rows = await tx.query<{ id: string; state: Unpublished['state']; account_id: string; session_id: string }>(
    `select v.id, v.state, v.account_id, v.session_id from version v
     where v.folder_id = $1 and v.state in ('partial', 'held', 'settling') order by v.id limit $2 for update`,
    [folder, max],
  );
  return rows.map((row) => ({
    version: idOf<VersionId>(row.id),
    state: row.state,
    account: idOf<AccountId>(row.account_id),
    session: idOf<SessionId>(row.session_id),
  }));
}

/** Makes complete versions, which the transaction has locked, wait for their markers, or settle for so long. */
export async function becomeByRule(
  tx: Transaction,
  versions: readonly VersionId[],
  publication: { readonly state: 'held' } | { readonly state: 'settling'; readonly settleMs: number },
): Promise<void> {
  const settleMs = publication.state === 'settling' ? publication.settleMs : null;
  await tx.query(
    `update version set state = $2, publish_at = clock_timestamp() + $3 * interval '1 millisecond'
     where id = any ($1::uuid[])`,
    [versions, publication.state, settleMs],
  );
}
