// Owns: the heads log as the database holds it: the text of each head, and the frontier and root of the log at any
// size.
// Must never: use a stored frontier as that of the heads log. Only what was computed from heads and blocks is known.
import { headText, numberCommitment } from '../../domain/ledger/leaf.ts';
import { append, blockLeaves, type Frontier, frontierOf, leafHash, rootOf } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import { base64, sha256 } from './hashing.ts';
import { type HeadRow, headsUpTo } from './seal-queries.ts';

const utf8 = new TextEncoder();

/** Returns the text of a head, which is the data of its leaf in the heads log (docs/reference/ledger-format.md). */
export const textOf = ({
  position,
  at,
  number,
  secret,
  mapRoot,
}: Pick<HeadRow, 'position' | 'at' | 'number' | 'secret' | 'mapRoot'>): string =>
  headText(position, at, base64(mapRoot), base64(numberCommitment(sha256, secret, position, number)));

/** Returns the leaf hash of the text of a head. */
const leafOf = (text: string): Uint8Array => leafHash(sha256, utf8.encode(text));

/** Returns the frontier of the heads log at `size`, or undefined when a head or a block is missing. */
export async function logAt(tx: Transaction, size: number): Promise<Frontier | undefined> {
  const { blocks, rest } = await headsUpTo(tx, size);
  if (blocks.length * blockLeaves + rest.length !== size) return undefined;
  if (rest.some((row, i) => row.position !== blocks.length * blockLeaves + i)) return undefined;
  return frontierOf(
    sha256,
    blocks,
    rest.map((row) => leafOf(textOf(row))),
  );
}

/** Returns the root of the heads log at `size` in base64, or undefined when a head or a block is missing. */
export async function rootAt(tx: Transaction, size: number): Promise<string | undefined> {
  const log = await logAt(tx, size);
  return log === undefined ? undefined : base64(rootOf(sha256, log));
}

/** Returns the heads log grown by one head. `onBlock` is called for a block that this head completes. */
export const grownBy = (log: Frontier, head: HeadRow, onBlock?: (index: number, hash: Uint8Array) => void): Frontier =>
  append(sha256, log, leafOf(textOf(head)), onBlock);
