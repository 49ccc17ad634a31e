// Owns: the SQL of edge nodes and of what their leases must tell them.
import { idOf, type NodeName, type Plane, type SessionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export async function registerNode(tx: Transaction, node: NodeName, plane: Plane, startId: string): Promise<void> {
  await tx.query(
    `insert into node (name, plane, start_id, last_seen_at) values ($1, $2, $3, clock_timestamp())
     on conflict (name) do update set plane = excluded.plane, start_id = excluded.start_id, last_seen_at = excluded.last_seen_at`,
    [node, plane, startId],
  );
}

/** Sessions that ended after `epoch` on any of the nodes, and the newest epoch; and marks the nodes as seen. */
export async function revocationsSince(
  tx: Transaction,
  nodes: readonly NodeName[],
  epoch: number,
): Promise<{
  readonly epoch: number;
  readonly ended: readonly { readonly node: NodeName; readonly id: SessionId; readonly epoch: number }[];
}> {
  await tx.query('update node set last_seen_at = clock_timestamp() where name = any ($1::text[])', [nodes]);
  const rows = await tx.query<{ node: string; id: string; ended_epoch: number }>(
    'select node, id, ended_epoch from session where node = any ($1::text[]) and ended_epoch > $2 order by ended_epoch limit 5000',
    [nodes, epoch],
  );
  const ended = rows.map((row) => ({ node: idOf<NodeName>(row.node), id: idOf<SessionId>(row.id), epoch: row.ended_epoch }));
  return { epoch: ended.at(-1)?.epoch ?? epoch, ended };
}

export async function currentEpoch(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>('select coalesce(max(ended_epoch), 0)::bigint as epoch from session');
  return row?.epoch ?? 0;
}
