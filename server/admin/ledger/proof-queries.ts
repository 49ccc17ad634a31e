// Owns: the SQL of the parts of proofs: checkpoints, heads, trees, blocks, leaves.
import { blockLeaves } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';

export type HeadRow = {
  readonly position: number;
  /** The time of the head, in microseconds since 1970. */
  readonly at: number;
  readonly number: number;
  readonly secret: Buffer;
  readonly mapRoot: Buffer;
  readonly trees: string;
};
const rowColumns = 'h.position, micros(h.at) as at, h.number, h.secret, h.map_root as "mapRoot", h.trees';

type TreeRow = { readonly tree: string; readonly size: number; readonly frontier: string };
export type Newest = HeadRow & {
  /** The text of the newest checkpoint. */
  readonly checkpoint: string;
  /** The number of heads that every required witness has. */
  readonly witnessedSize: number;
  readonly all: readonly TreeRow[];
};

/**
 * Returns the newest head, the newest checkpoint (which may not cover that head yet) and all trees. One statement reads
 * them, so that they are of one moment. Frontiers are in base64. Returns undefined when no head or no checkpoint
 * exists.
 */
export async function newestHead(tx: Transaction): Promise<Newest | undefined> {
  const [row] = await tx.query<Newest>(
    `select ${rowColumns}, s.checkpoint, s.witnessed_size as "witnessedSize",
       (select json_agg(json_build_object('tree', t.tree, 'size', t.size, 'frontier', translate(encode(t.frontier, 'base64'), E'\\n', ''))) from ledger_tree t) as all
     from ledger_state s cross join lateral (select * from ledger_head order by position desc limit 1) h where s.checkpoint is not null`,
  );
  return row;
}

/**
 * Returns the newest checkpoint that every required witness has, or the newest checkpoint of all when there is none
 * such. Returns undefined when nothing was signed.
 */
export async function witnessedCheckpoint(tx: Transaction): Promise<string | undefined> {
  const [row] = await tx.query<{ checkpoint: string | null }>(
    'select coalesce(witnessed_checkpoint, checkpoint) as checkpoint from ledger_state',
  );
  return row?.checkpoint ?? undefined;
}

/**
 * Returns the newest head below position `size` that began an epoch, and that is not later than `at` (microseconds
 * since 1970) when it is given.
 */
export async function epochBefore(tx: Transaction, size: number, at: number | null): Promise<HeadRow | undefined> {
  const [row] = await tx.query<HeadRow>(
    `select ${rowColumns} from ledger_head h where h.epoch = h.position and h.position < $1
       and ($2::bigint is null or h.at <= 'epoch'::timestamptz + $2::bigint * interval '1 microsecond') order by h.position desc limit 1`,
    [size, at],
  );
  return row;
}

/** Returns the hashes of the whole blocks of a tree of that size; fewer when some are missing. */
export async function blocksOf(tx: Transaction, tree: string, size: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ hash: Buffer }>(
    'select hash from ledger_block where tree = $1 and index < $2 order by index',
    [tree, Math.floor(size / blockLeaves)],
  );
  return rows.map((row) => row.hash);
}

/**
 * Returns the leaf hashes of the positions from `first` up to, but not including, `end`. Leaves that archived months
 * left behind are in tables of their own. Returns fewer when some are not online.
 */
export async function leavesOf(tx: Transaction, tree: string, first: number, end: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ leaf: Buffer }>(
    `select leaf from (select position, leaf from ledger_sealed where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_leaf where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_kept where tree = $1 and position >= $2 and position < $3) x order by position`,
    [tree, first, end],
  );
  return rows.map((row) => row.leaf);
}

/** Returns the heads from position `first` up to, but not including, `end`; fewer when some are missing. */
export async function headsBetween(tx: Transaction, first: number, end: number): Promise<readonly HeadRow[]> {
  return tx.query<HeadRow>(
    `select ${rowColumns} from ledger_head h where h.position >= $1 and h.position < $2 order by h.position`,
    [first, end],
  );
}
