// Owns: finding entries in a record that was proved as a whole, by their ids (decision 42).
// Must never: take a row of the sealed record for one that its tree contains without computing its leaf and the way
// from there to the proved root.
import { leafData } from '../../domain/ledger/leaf.ts';
import { append, blockLeaves, emptyFrontier, frontierOf, leafHash, rootOf } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import { base64, sha256 } from './hashing.ts';
import { RecordDiverged, type Standing } from './standing.ts';
import { entriesWithIds, leavesOfBlock, partsOf, type SealedEntry } from './standing-queries.ts';

const numbersATime = 40_000;
/** A million numbers of the record: what is sealed there is searched in some seconds. */
const stepsMax = 25;

type Wanted = { readonly ids: readonly number[]; readonly above: number };

/**
 * Returns the sealed entries of these ids with a number above `above`, by ascending number, of which the proved trees
 * contain each. `upTo`: as far as the record was searched. Throws RecordDiverged when a tree has not the blocks and
 * leaves of its root.
 */
export async function containedIn(
  tx: Transaction,
  standing: Standing,
  { ids, above }: Wanted,
): Promise<{ readonly entries: readonly SealedEntry[]; readonly upTo: number }> {
  const rows: SealedEntry[] = [];
  const missing = new Set(ids);
  let upTo = above;
  for (let steps = 0; steps < stepsMax && upTo < standing.number && missing.size > 0; steps += 1) {
    const found = await entriesWithIds(tx, [...missing], upTo, Math.min(numbersATime, standing.number - upTo));
    rows.push(...found);
    upTo = Math.min(standing.number, upTo + numbersATime);
  }
  const entries: SealedEntry[] = [];
  for (const [tree, those] of Map.groupBy(rows, (one) => one.tree))
    entries.push(...(await containedInTree(tx, standing, tree, those)));
  return { entries: entries.sort((a, b) => a.number - b.number), upTo };
}

async function containedInTree(
  tx: Transaction,
  standing: Standing,
  tree: string,
  rows: readonly SealedEntry[],
): Promise<readonly SealedEntry[]> {
  const known = standing.trees.get(tree);
  if (known === undefined) return [];
  const { size } = known.frontier;
  const { blocks, rest } = await partsOf(tx, tree, size);
  const isWhole = blocks.length === Math.floor(size / blockLeaves) && rest.length === size % blockLeaves;
  if (!isWhole || base64(rootOf(sha256, frontierOf(sha256, blocks, rest))) !== known.root)
    throw new RecordDiverged(`tree ${tree} has not the blocks and leaves of its ${size} entries`);
  const contained: SealedEntry[] = [];
  for (const [block, those] of Map.groupBy(rows, (one) => Math.floor(one.position / blockLeaves))) {
    const whole = blocks[block];
    const leaves = whole === undefined ? rest : await leavesOfBlock(tx, tree, block, size);
    const root = rootOf(
      sha256,
      leaves.reduce((grown, leaf) => append(sha256, grown, leaf), emptyFrontier),
    );
    if (whole !== undefined && base64(root) !== base64(whole)) continue;
    for (const one of those) {
      const leaf = leaves[one.position % blockLeaves];
      if (
        one.position < size &&
        leaf !== undefined &&
        base64(leaf) === base64(leafHash(sha256, leafData(sha256, one, one.salt)))
      )
        contained.push(one);
    }
  }
  return contained;
}
