// Owns: the SQL of the regular passes: publishing what is due, giving up what expired, collecting what nobody needs.
import { type AccountId, type CustomerId, idOf, type ObjectId, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type Swept = {
  readonly version: VersionId;
  readonly customer: CustomerId;
  readonly account: AccountId;
  readonly session: SessionId;
};
type Raw = { readonly id: string; readonly customer_id: string; readonly account_id: string; readonly session_id: string };
const shape = (row: Raw): Swept => ({
  version: idOf<VersionId>(row.id),
  customer: idOf<CustomerId>(row.customer_id),
  account: idOf<AccountId>(row.account_id),
  session: idOf<SessionId>(row.session_id),
});

/** What has settled, and is not being continued. */
export async function publishDue(tx: Transaction, limit: number): Promise<readonly Swept[]> {
  const rows = await tx.query<Raw>(
    `update version set state = 'published', published_at = clock_timestamp(), publish_at = null
     where id in (select v.id from version v where v.state = 'settling' and v.publish_at <= clock_timestamp()
       and not exists (select 1 from version p where p.base_version_id = v.id and p.state = 'partial') order by v.publish_at limit $1 for update skip locked)
     returning id, customer_id, account_id, session_id`,
    [limit],
  );
  return rows.map(shape);
}

/** Partial uploads that nobody holds or rewrites, and that nobody continued for so long since they were let go. */
export async function discardExpired(tx: Transaction, lifeMs: number, limit: number): Promise<readonly Swept[]> {
  const rows = await tx.query<Raw>(
    `update version set state = 'discarded', upload_id = null
     where id in (select v.id from version v where v.state = 'partial' and v.upload_id is null and coalesce(v.let_go_at, v.opened_at) < clock_timestamp() - $1 * interval '1 millisecond'
       and not exists (select 1 from version p where p.base_version_id = v.id and p.state = 'partial')
       order by coalesce(v.let_go_at, v.opened_at) limit $2 for update skip locked)
     returning id, customer_id, account_id, session_id`,
    [lifeMs, limit],
  );
  return rows.map(shape);
}

/** Extents of discarded versions: their rows go and their objects are doomed, together. Not those that had a receipt and lie under a hold. */
export async function doomUnused(tx: Transaction, limit: number): Promise<number> {
  const rows = await tx.query(
    `with unused as (
       select e.content_id, e.index from version v join extent e on e.content_id = v.content_id
       where v.state = 'discarded' and v.extent_count > 0 and (v.receipt is null or not exists (select 1 from legal_hold h
         where h.lifted_at is null and h.customer_id = v.customer_id and (h.folder_id is null or h.folder_id = v.folder_id) and (h.version_id is null or h.version_id = v.id)))
       limit $1),
     gone as (delete from extent e using unused u where e.content_id = u.content_id and e.index = u.index returning e.object_id, e.inline),
     doomed as (insert into doomed_object (object_id) select object_id from gone where inline is null on conflict do nothing)
     select object_id from gone`,
    [limit],
  );
  await tx.query(
    `update version v set extent_count = 0 where v.state = 'discarded' and v.extent_count > 0
       and not exists (select 1 from extent e where e.content_id = v.content_id)`,
  );
  return rows.length;
}

export async function listDoomed(tx: Transaction, limit: number): Promise<readonly ObjectId[]> {
  const rows = await tx.query<{ object_id: string }>('select object_id from doomed_object order by since limit $1', [limit]);
  return rows.map((row) => idOf<ObjectId>(row.object_id));
}

export async function forgetDoomed(tx: Transaction, objects: readonly ObjectId[]): Promise<void> {
  await tx.query('delete from doomed_object where object_id = any ($1::text[])', [objects]);
}

/** Of these objects, those that a row still needs: sealed ones and ones being written now. */
export async function knownObjects(tx: Transaction, objects: readonly ObjectId[]): Promise<ReadonlySet<ObjectId>> {
  const rows = await tx.query<{ object_id: string }>(
    'select object_id from extent where object_id = any ($1::text[]) union select object_id from pending_extent where object_id = any ($1::text[])',
    [objects],
  );
  return new Set(rows.map((row) => idOf<ObjectId>(row.object_id)));
}

/** Issued keys whose upload no longer exists: nobody will seal them. */
export async function forgetAbandonedPending(tx: Transaction): Promise<void> {
  await tx.query(
    "delete from pending_extent p where p.created_at < clock_timestamp() - interval '1 minute' and not exists (select 1 from version v where v.upload_id = p.upload_id)",
  );
}
