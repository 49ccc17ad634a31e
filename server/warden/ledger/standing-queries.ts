// Owns: the SQL with which the sealer proves the state of the record: entries that no checkpoint covers yet, the blocks
// and leaves before them, and the lines of heads about trees.
// Must never: read without a limit. A state that is too large to be proved is not believed.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import { blockLeaves } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';

export type SealedEntry = PlacedEntry & { readonly id: number; readonly salt: Buffer };

const entryColumns = `l.id, l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt`;

/** Returns up to `limit` sealed entries with a number above `number`, in the order of their numbers. */
export async function entriesAfter(tx: Transaction, number: number, limit: number): Promise<readonly SealedEntry[]> {
  return tx.query<SealedEntry>(
    `select ${entryColumns} from ledger_sealed l where l.number > $1 order by l.number limit $2`,
    [number, limit],
  );
}

/**
 * Returns the sealed entries with numbers above `number` up to `last`, and at most one more than there can be of them.
 */
export async function entriesUpTo(tx: Transaction, number: number, last: number): Promise<readonly SealedEntry[]> {
  return tx.query<SealedEntry>(
    `select ${entryColumns} from ledger_sealed l where l.number > $1 and l.number <= $2 order by l.number limit $2::bigint - $1::bigint + 1`,
    [number, last],
  );
}

/** Returns the sealed entries of these ids among the `numbersMax` numbers above `number`. */
export async function entriesWithIds(
  tx: Transaction,
  ids: readonly number[],
  number: number,
  numbersMax: number,
): Promise<readonly SealedEntry[]> {
  return tx.query<SealedEntry>(
    `select ${entryColumns} from ledger_sealed l where l.number > $2 and l.number <= $2::bigint + $3::bigint and l.id = any ($1::bigint[]) order by l.number limit $3`,
    [ids, number, numbersMax],
  );
}

/** Returns the leaf hashes of one block of a tree of that size, in order; fewer when rows are missing. */
export async function leavesOfBlock(
  tx: Transaction,
  tree: string,
  block: number,
  size: number,
): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ leaf: Buffer }>(
    `select leaf from (select position, leaf from ledger_sealed where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_leaf where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_kept where tree = $1 and position >= $2 and position < $3) x order by position`,
    [tree, block * blockLeaves, Math.min((block + 1) * blockLeaves, size)],
  );
  return rows.map((row) => row.leaf);
}

/**
 * Returns the hashes of the whole blocks of a tree of that size, and the leaf hashes after the last whole block, from
 * whichever table holds them. When there are fewer than the size says, rows are missing.
 */
export async function partsOf(
  tx: Transaction,
  tree: string,
  size: number,
): Promise<{ readonly blocks: readonly Buffer[]; readonly rest: readonly Buffer[] }> {
  const whole = Math.floor(size / blockLeaves);
  const blocks = await tx.query<{ hash: Buffer }>(
    'select hash from ledger_block where tree = $1 and index < $2 order by index',
    [tree, whole],
  );
  const rest = await tx.query<{ leaf: Buffer }>(
    `select leaf from (select position, leaf from ledger_sealed where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_leaf where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_kept where tree = $1 and position >= $2 and position < $3) x order by position`,
    [tree, whole * blockLeaves, size],
  );
  return { blocks: blocks.map((row) => row.hash), rest: rest.map((row) => row.leaf) };
}

/** Returns the lines of the heads from position `first` to position `last`, both included, oldest first. */
export async function linesBetween(
  tx: Transaction,
  first: number,
  last: number,
  limit: number,
): Promise<readonly string[]> {
  const rows = await tx.query<{ trees: string }>(
    'select trees from ledger_head where position >= $1 and position <= $2 order by position limit $3',
    [first, last, limit],
  );
  return rows.map((row) => row.trees);
}
