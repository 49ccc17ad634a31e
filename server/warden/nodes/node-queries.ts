// Owns: the SQL of edge nodes and of what their leases must tell them.
import { idOf, type NodeName, type Plane, type SessionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type NodeRun = {
  readonly node: NodeName;
  readonly plane: Plane;
  readonly startId: string;
  /** The edge's word; null: it does not say. */
  readonly nativeCipher: boolean | null;
};

export async function registerNode(tx: Transaction, run: NodeRun): Promise<void> {
  await tx.query(
    `insert into node (name, plane, start_id, native_cipher, last_seen_at, started_at) values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
     on conflict (name) do update set started_at = case when node.start_id = excluded.start_id then node.started_at else excluded.started_at end, plane = excluded.plane, start_id = excluded.start_id, native_cipher = excluded.native_cipher, last_seen_at = excluded.last_seen_at`,
    [run.node, run.plane, run.startId, run.nativeCipher],
  );
}

/** Sessions of one node that ended after `epoch`, oldest first; and marks the node as seen. */
export async function endedSince(
  tx: Transaction,
  node: NodeName,
  epoch: number,
): Promise<readonly { readonly id: SessionId; readonly epoch: number }[]> {
  await tx.query('update node set last_seen_at = clock_timestamp() where name = $1', [node]);
  const rows = await tx.query<{ id: string; ended_epoch: number }>(
    'select id, ended_epoch from session where node = $1 and ended_epoch > $2 order by ended_epoch limit 2000',
    [node, epoch],
  );
  return rows.map((row) => ({ id: idOf<SessionId>(row.id), epoch: row.ended_epoch }));
}

export async function currentEpoch(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>('select coalesce(max(ended_epoch), 0)::bigint as epoch from session');
  return row?.epoch ?? 0;
}
