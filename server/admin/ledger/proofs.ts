// Owns: audit paths of entries and heads from what the database holds, for slices and for whoever looks at one entry.
// Must never: vouch for a row. A path shows where it stood; whoever is shown it verifies.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { parseNote } from '../../domain/ledger/checkpoint.ts';
import { headsTree, headText } from '../../domain/ledger/leaf.ts';
import { auditPath, blockLeaves, leafHash, levelsOf, type Sha256 } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import { blocksOf, headsBetween, leavesOf, proofBase } from './proof-queries.ts';

const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');
const utf8 = new TextEncoder();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

type LeafSource = (first: number, end: number) => Promise<readonly Uint8Array[]>;
type Levels = readonly (readonly Uint8Array[])[];

const notOnline = (): CofferdamError =>
  new CofferdamError('conflict', 'this part of the record is in an archive: it cannot be proved from here');

/** Paths in one tree of one size. Leaves are read a block at a time, the last block is kept. */
export class TreeProofs {
  readonly #size: number;
  readonly #leaves: LeafSource;
  readonly #upper: Levels;
  #block: { readonly index: number; readonly levels: Levels } | undefined;

  private constructor(size: number, leaves: LeafSource, upper: Levels) {
    this.#size = size;
    this.#leaves = leaves;
    this.#upper = upper;
  }

  static async load(size: number, blocks: readonly Uint8Array[], leaves: LeafSource): Promise<TreeProofs> {
    const whole = Math.floor(size / blockLeaves);
    if (blocks.length !== whole) throw new CofferdamError('corrupt', 'blocks of the record are missing');
    const rest = size % blockLeaves === 0 ? [] : await leaves(whole * blockLeaves, size);
    if (rest.length !== size % blockLeaves) throw notOnline();
    const last = levelsOf(sha256, rest).at(-1)?.[0];
    return new TreeProofs(size, leaves, levelsOf(sha256, last === undefined ? blocks : [...blocks, last]));
  }

  async path(position: number): Promise<readonly Uint8Array[]> {
    if (!Number.isSafeInteger(position) || position < 0 || position >= this.#size)
      throw new CofferdamError('not-found', `there is no entry at position ${position} of this tree`);
    const index = Math.floor(position / blockLeaves);
    if (this.#block?.index !== index) {
      const [first, end] = [index * blockLeaves, Math.min(this.#size, (index + 1) * blockLeaves)];
      const leaves = await this.#leaves(first, end);
      if (leaves.length !== end - first) throw notOnline();
      this.#block = { index, levels: levelsOf(sha256, leaves) };
    }
    return [...auditPath(this.#block.levels, position % blockLeaves), ...auditPath(this.#upper, index)];
  }
}

export type Anchor = {
  readonly checkpoint: string;
  /** So many heads every required witness has. */
  readonly witnessedSize: number;
  readonly head: { readonly position: number; readonly text: string; readonly proof: readonly string[] };
  readonly tree: { readonly id: string; readonly size: number };
  /** Of an entry of this tree: its audit path, base64. */
  readonly path: (position: number) => Promise<readonly string[]>;
};

const headLeaf = (row: { readonly position: number; readonly at: number; readonly number: number; readonly trees: string }): Uint8Array =>
  leafHash(sha256, utf8.encode(headText(row.position, row.at, row.number, row.trees)));

/** The newest checkpoint and the way from it to one tree; undefined: nothing of that tree is sealed. It may grow meanwhile: that is not looked at. */
export async function anchorOf(tx: Transaction, tree: string): Promise<Anchor | undefined> {
  const row = await proofBase(tx, tree);
  if (row === undefined) return undefined;
  const { note, witnessedSize } = row;
  const { size } = parseNote(note).checkpoint;
  const [head] = await headsBetween(tx, row.head, row.head + 1);
  if (head === undefined) throw new CofferdamError('corrupt', 'a head of the record is missing');
  const heads = await TreeProofs.load(size, await blocksOf(tx, headsTree, size), async (first, end) =>
    (await headsBetween(tx, first, end)).map(headLeaf),
  );
  const entries = await TreeProofs.load(row.size, await blocksOf(tx, tree, row.size), (first, end) => leavesOf(tx, tree, first, end));
  return {
    checkpoint: note,
    witnessedSize,
    head: {
      position: head.position,
      text: headText(head.position, head.at, head.number, head.trees),
      proof: (await heads.path(head.position)).map(base64),
    },
    tree: { id: tree, size: row.size },
    path: async (position) => (await entries.path(position)).map(base64),
  };
}
