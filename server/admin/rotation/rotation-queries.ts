// Owns: the SQL of rotations that operators may read.
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { plainRow, type Raw } from '../reading/rows.ts';

export type RotationRow = Result<OperatorToAdmin, 'rotation.list'>['rotations'][number];

export type RotationItem = Result<OperatorToAdmin, 'rotation.show'>['items'][number];

/**
 * The condition for an item of a rotation whose holder did not move in time: the old key was retired or ended before
 * the first use of its successor, or is still to be retired and the successor was never used.
 */
const laggard = `(i.state in ('open', 'retired') and (i.moved_at is null or i.moved_at > coalesce(i.retired_at, k.expires_at)))`;

export async function listRotations(tx: Transaction, id: string | null): Promise<readonly RotationRow[]> {
  const rows = await tx.query<Raw<RotationRow>>(
    `select r.id as rotation, r.selection, r.reason, r.started_by as "startedBy", r.started_at as "startedAt", r.deadline, r.undone_at as "undoneAt",
       count(i.credential_id) as keys, count(*) filter (where i.state = 'planned') as planned, count(i.successor_id) as staged,
       count(i.moved_at) as moved, count(i.retired_at) as retired, count(*) filter (where ${laggard}) as laggards
     from rotation r left join rotation_item i on i.rotation_id = r.id left join credential k on k.id = i.credential_id
     where $1::uuid is null or r.id = $1 group by r.id order by r.started_at desc limit 500`,
    [id],
  );
  return rows.map((row) => plainRow<RotationRow>(row));
}

export async function rotationItems(
  tx: Transaction,
  { rotation, laggards, after }: Params<OperatorToAdmin, 'rotation.show'>,
): Promise<readonly RotationItem[]> {
  const rows = await tx.query<Raw<RotationItem>>(
    `select a.name as account, c.name as customer, k.fingerprint, s.fingerprint as successor, i.state,
       case when i.state in ('open', 'retired') then coalesce(i.retired_at, k.expires_at) end as "retiresAt", i.moved_at as "movedAt", ${laggard} as "isLaggard", a.contact
     from rotation_item i join credential k on k.id = i.credential_id join account a on a.id = k.account_id
       left join customer c on c.id = a.customer_id left join credential s on s.id = i.successor_id
     where i.rotation_id = $1 and (not $2 or ${laggard}) and ($3::text is null or (a.name::text, k.fingerprint) > ($3, $4))
     order by a.name::text, k.fingerprint limit 1000`,
    [rotation, laggards ?? false, after?.account ?? null, after?.fingerprint ?? null],
  );
  return rows.map((row) => plainRow<RotationItem>(row));
}
