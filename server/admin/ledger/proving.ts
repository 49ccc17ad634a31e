// Owns: proving that the rows from which an answer is read are those to which a signed head commits: all entries of all
// trees, from the first one that the answer can rest on, in the very snapshot in which it is read (decision 0043).
// Must never: prove by another snapshot, or call a record proved whose head no checkpoint covers.
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBase64, leafHash as verifierLeafHash, verifyAuditPath } from '../../../verifier/index.js';
import { CofferdamError } from '../../domain/errors.ts';
import { parseNote } from '../../domain/ledger/checkpoint.ts';
import { type Grown, headsTree, parseHeadLines } from '../../domain/ledger/leaf.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import type { ProvedRecord } from '../../rpc/operators/incident.ts';
import { epochBefore, type HeadRow, witnessedCheckpoint } from './proof-queries.ts';
import { type Anchor, headIn, requireCommittedMap, rootIn } from './proofs.ts';
import { standingHead, strayTree } from './proving-queries.ts';
import { AlteredRecord, TreeProving } from './proving-tree.ts';
import { strayOfRange } from './range-queries.ts';

/** How long a checkpoint of the head is waited for that every required witness has. */
const witnessedWithinMs = 30_000;
const lookEveryMs = 250;

/** What an answer can rest on. Instants are ISO 8601. */
type Reach = {
  /** Nothing on which the answer rests happened before this instant; null: it can rest on everything. */
  readonly begin: string | null;
  /** The beginning of the window that was asked for; null: it has none. */
  readonly since: string | null;
  /** The answer says that what is older than this instant is in archives; null: nothing is in archives. */
  readonly oldestOnline: string | null;
};
type Range = {
  /** The head after which the range begins; undefined: it begins with the first entry of each tree. */
  readonly from: HeadRow | undefined;
  /** The number of entries of each tree before the range. */
  readonly sizes: ReadonlyMap<string, number>;
};
export type Proving = {
  readonly head: HeadRow;
  readonly from: HeadRow | undefined;
  readonly trees: number;
  readonly entries: number;
  readonly archived: number;
};

const everything: Range = { from: undefined, sizes: new Map() };

/** Returns the trees as they stand, to which the newest head must commit. */
async function standing(
  tx: Transaction,
): Promise<{ readonly head: HeadRow; readonly trees: readonly Grown[] } | undefined> {
  const head = await standingHead(tx);
  if (head === undefined) return undefined;
  const trees = head.all
    .filter((one) => one.tree !== headsTree)
    .map(({ tree, size, frontier }): Grown => ({ tree, size, root: rootIn(size, frontier) }));
  requireCommittedMap(head, trees);
  return { head, trees };
}

/** Returns the range after the newest head that began an epoch and is not later than `begin`. */
async function rangeAfter(tx: Transaction, head: HeadRow, begin: string | null): Promise<Range> {
  const from = begin === null ? undefined : await epochBefore(tx, head.position + 1, Date.parse(begin) * 1000);
  if (from === undefined) return everything;
  const trees = parseHeadLines(from.trees);
  if (trees === undefined) throw new CofferdamError('corrupt', 'the lines of a head of the record cannot be read');
  requireCommittedMap(from, trees);
  return { from, sizes: new Map(trees.map(({ tree, size }) => [tree, size] as const)) };
}

/**
 * Proves all that an answer of this snapshot can rest on: no row of the range is one to which the newest head does not
 * commit, and none is missing that no archive explains. `onRows` is told how many entries were read. Throws
 * `AlteredRecord` when the record was changed, `corrupt` when its heads do not fit, and `conflict` when nothing is
 * sealed.
 */
export async function proveRecord(snapshot: Snapshot, reach: Reach, onRows: (count: number) => void): Promise<Proving> {
  const found = await standing(snapshot);
  if (found === undefined)
    throw new CofferdamError('conflict', 'nothing of the record is sealed yet: ask again in a moment');
  const { head, trees } = found;
  const stray = await strayTree(
    snapshot,
    trees.map((one) => one.tree),
    trees.map((one) => one.size),
  );
  if (stray !== undefined)
    throw new AlteredRecord(`tree ${stray}`, `tree ${stray} of the record has entries that were never sealed`);
  const range = await rangeAfter(snapshot, head, reach.begin);
  const proved = await proveRange(snapshot, trees, range, reach, onRows);
  const { since } = reach;
  const isEnough = range.from === undefined || (since !== null && !(await strayOfRange(snapshot, range.sizes, since)));
  const all = isEnough ? proved : await proveRange(snapshot, trees, everything, reach, onRows);
  return { head, from: isEnough ? range.from : undefined, trees: trees.length, ...all };
}

async function proveRange(
  snapshot: Snapshot,
  trees: readonly Grown[],
  { sizes }: Range,
  { oldestOnline }: Reach,
  onRows: (count: number) => void,
): Promise<Pick<Proving, 'entries' | 'archived'>> {
  let [entries, archived] = [0, 0];
  for (const tree of trees) {
    const first = sizes.get(tree.tree) ?? 0;
    if (first > tree.size)
      throw new AlteredRecord(`tree ${tree.tree}`, `tree ${tree.tree} of the record was longer at an earlier head`);
    const proved = await new TreeProving(snapshot, tree, onRows).run(first, oldestOnline);
    entries += proved.entries;
    archived += proved.archived;
  }
  return { entries, archived };
}

/**
 * Waits for a checkpoint that covers the head and that every required witness has, and returns it with the ways to it
 * from both heads. Throws `unavailable` when there is none in time, and `corrupt` when a head is not in it.
 */
export async function witnessedHeads(
  database: Database,
  { head, from }: Proving,
  signal: AbortSignal,
): Promise<Pick<ProvedRecord, 'checkpoint' | 'head' | 'from'>> {
  for (const end = performance.now() + witnessedWithinMs; performance.now() < end; await sleep(lookEveryMs)) {
    signal.throwIfAborted();
    const checkpoint = await database.withSystem(witnessedCheckpoint);
    if (checkpoint === undefined || parseNote(checkpoint).checkpoint.size <= head.position) continue;
    return {
      checkpoint,
      head: await pathOf(database, checkpoint, head),
      from: from === undefined ? null : await pathOf(database, checkpoint, from),
    };
  }
  throw new CofferdamError(
    'unavailable',
    `the head that the answer was proved by has no witnessed checkpoint after ${witnessedWithinMs / 1000} s: see \`cofferctl ledger status\`, then ask again`,
  );
}

async function pathOf(database: Database, checkpoint: string, row: HeadRow): Promise<ProvedRecord['head']> {
  const way: Anchor['head'] = await database.withSystem((tx) => headIn(tx, checkpoint, row));
  const { size, root } = parseNote(checkpoint).checkpoint;
  const path = way.proof.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  const leaf = verifierLeafHash(Buffer.from(way.text));
  if (!verifyAuditPath(leaf, way.position, size, path, Buffer.from(root, 'base64')))
    throw new AlteredRecord('the heads', `head ${way.position} of the record is not the one that was signed`);
  return { position: way.position, text: way.text, proof: [...way.proof] };
}
