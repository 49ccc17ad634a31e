// Owns: proving one tree in a snapshot: every entry of it from a position on, hashed as it stands in the database,
// leads to the root to which a head commits.
// Must never: pass over a position without saying so, or hold more than a few pages.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type Grown, leafData } from '../../domain/ledger/leaf.ts';
import {
  append,
  blockLeaves,
  emptyFrontier,
  type Frontier,
  frontierOf,
  leafHash,
  rootOf,
  type Sha256,
} from '../../domain/ledger/merkle.ts';
import { type ArchivedStatement, archivedKind, archivedStatementOf } from '../../domain/ledger/sealable.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  blocksBetween,
  entriesBetween,
  keptBetween,
  leftLeavesBetween,
  nextPosition,
  type ReadRow,
} from './proving-queries.ts';

const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');

/** A page is some whole blocks, which takes about 50 ms of a processor. */
const pageLeaves = 8 * blockLeaves;
/** The largest number of blocks that one statement reads. */
const pageBlocks = 4096;
/** The largest number of pieces in which positions of one tree are in archives. */
const piecesMax = 10_000;

/**
 * What is in the database is not what was signed. `tree` names the tree, or what else does not fit; `number` is that of
 * the entry which does not have the leaf that was computed when it was sealed, or 0.
 */
export class AlteredRecord extends CofferdamError {
  readonly what: string;
  readonly number: number;
  constructor(what: string, text: string, number = 0) {
    super(
      'corrupt',
      `${text}. Somebody changed the record: give nobody anything of this, see \`cofferctl ledger verify\`, and verify the record from another machine`,
    );
    this.what = what;
    this.number = number;
  }
}

type Piece = { readonly from: number; end: number };
/** `entries`: how many were hashed. `archived`: how many positions are in archives, and were not looked at. */
type ProvedTree = { readonly entries: number; readonly archived: number };

export class TreeProving {
  readonly #tx: Transaction;
  readonly #tree: Grown;
  readonly #onRows: (count: number) => void;
  /** The whole blocks so far, and the leaves after them. */
  #blocks: Frontier = emptyFrontier;
  #rest: Frontier = emptyFrontier;
  #entries = 0;
  #kept = 0;
  #suspect: ReadRow | undefined;
  readonly #absent: Piece[] = [];
  readonly #statements = new Map<string, ArchivedStatement>();

  constructor(tx: Transaction, tree: Grown, onRows: (count: number) => void) {
    this.#tx = tx;
    this.#tree = tree;
    this.#onRows = onRows;
  }

  /**
   * Proves the entries from position `first` on; it may begin earlier, at the beginning of a block. `oldestOnline` (ISO
   * 8601): what is older is told to be in archives. Throws `AlteredRecord` when the tree is not the one that the head
   * commits to, or when a position is absent that no archive explains.
   */
  async run(first: number, oldestOnline: string | null): Promise<ProvedTree> {
    const { size, root } = this.#tree;
    await this.#begin(Math.floor(first / blockLeaves));
    for (let rows = await this.#read(this.#position); this.#position < size; ) {
      const [at, end] = [this.#position, this.#endOf(this.#position)];
      const count = rows.length;
      if (count === end - at && rows.every((row, i) => row.position === at + i))
        // The database reads the next page while this one is hashed.
        [rows] = await Promise.all([this.#read(end), this.#takeAll(rows)]);
      else {
        await this.#fill(rows, at, end);
        rows = await this.#read(this.#position);
      }
      this.#onRows(count);
    }
    if (Buffer.from(rootOf(sha256, this.#frontier)).toString('base64') !== root) throw this.#altered();
    return { entries: this.#entries, archived: this.#explained(oldestOnline) };
  }

  get #position(): number {
    return this.#blocks.size * blockLeaves + this.#rest.size;
  }

  get #frontier(): Frontier {
    return { size: this.#position, roots: [...this.#blocks.roots, ...this.#rest.roots] };
  }

  #endOf(first: number): number {
    return Math.min(this.#tree.size, first + pageLeaves);
  }

  /** Returns the entries of the page that begins there; none behind the end of the tree. */
  async #read(first: number): Promise<readonly ReadRow[]> {
    const end = this.#endOf(first);
    return first >= end ? [] : entriesBetween(this.#tx, this.#tree.tree, first, end);
  }

  async #takeAll(rows: readonly ReadRow[]): Promise<void> {
    for (const row of rows) this.#take(row);
  }

  /**
   * Begins after so many whole blocks, by their hashes: the root of the whole tree proves them. Where one is missing,
   * the tree is proved from its first entry on.
   */
  async #begin(blocks: number): Promise<void> {
    if (blocks === 0) return;
    const found = await blocksBetween(this.#tx, this.#tree.tree, 0, blocks);
    if (found.length !== blocks || found.some(({ index }, i) => index !== i)) return;
    const { roots } = frontierOf(
      sha256,
      found.map((one) => one.hash),
      [],
    );
    this.#blocks = { size: blocks, roots };
  }

  #take(row: ReadRow): void {
    const leaf = leafHash(sha256, leafData(sha256, row, row.salt));
    if (row.isOtherwise || !row.leaf.equals(leaf)) this.#suspect ??= row;
    // No root is computed from it.
    if (row.isOtherwise) throw this.#altered();
    this.#entries += 1;
    if (row.kind === archivedKind) {
      const statement = archivedStatementOf(row);
      if (statement !== undefined) this.#statements.set(statement.month, statement);
    }
    this.#leaf(leaf);
  }

  #leaf(leaf: Uint8Array): void {
    this.#rest = append(sha256, this.#rest, leaf);
    const [whole] = this.#rest.roots;
    if (this.#rest.size < blockLeaves || whole === undefined) return;
    this.#blocks = append(sha256, this.#blocks, whole);
    this.#rest = emptyFrontier;
  }

  /** Goes through a page of which entries are not in the database. */
  async #fill(rows: readonly ReadRow[], at: number, end: number): Promise<void> {
    const { tree, size } = this.#tree;
    const kept = await keptBetween(this.#tx, tree, at, end);
    const left = await leftLeavesBetween(this.#tx, tree, at, end);
    if (rows.length + kept.length + left.length === 0) {
      const next = (await nextPosition(this.#tx, tree, end)) ?? size;
      await this.#skip(Math.min(Math.floor(next / blockLeaves), at / blockLeaves + pageBlocks));
      return;
    }
    this.#kept += kept.length;
    const entries = new Map([...kept, ...rows].map((row) => [row.position, row] as const));
    if (entries.size !== rows.length + kept.length)
      throw this.#altered('two entries stand at one position of it, or one is there twice');
    const leaves = new Map(left.map((one) => [one.position, one.leaf] as const));
    for (let position = at; position < end; position = this.#position) {
      const [row, leaf] = [entries.get(position), leaves.get(position)];
      if (row !== undefined) this.#take(row);
      else if (leaf !== undefined) {
        this.#passOver(position, 1);
        this.#leaf(leaf);
      } else {
        // A block stands only for entries of which none is left.
        const block = Array.from({ length: blockLeaves }, (_, i) => position + i);
        if (block.some((one) => entries.has(one) || leaves.has(one)))
          throw this.#altered(`its entry at position ${position} is gone`);
        await this.#skip(position / blockLeaves + 1);
      }
    }
  }

  /** Passes over whole blocks, up to, but not including, the block with this index, by their hashes. */
  async #skip(end: number): Promise<void> {
    const [first, at] = [this.#blocks.size, this.#position];
    const blocks = this.#rest.size === 0 ? await blocksBetween(this.#tx, this.#tree.tree, first, end) : [];
    const isWhole = Number.isInteger(end) && blocks.length > 0 && blocks.length === end - first;
    if (!isWhole || end * blockLeaves > this.#tree.size || blocks.some(({ index }, i) => index !== first + i))
      throw this.#altered(`its entry at position ${at} is gone`);
    this.#passOver(at, blocks.length * blockLeaves);
    for (const { hash: block } of blocks) this.#blocks = append(sha256, this.#blocks, block);
  }

  #passOver(position: number, count: number): void {
    const last = this.#absent.at(-1);
    if (last?.end === position) last.end += count;
    else this.#absent.push({ from: position, end: position + count });
    if (this.#absent.length > piecesMax) throw this.#altered('too much of it is in pieces in archives');
  }

  /**
   * Returns how many positions were passed over. Each must be one of a month that a proved statement of this tree says
   * to be in an archive, that was over before `oldestOnline`, and there are no more of them than were stated.
   */
  #explained(oldestOnline: string | null): number {
    const counted = [...this.#statements.values()].filter(({ month }) => isBefore(month, oldestOnline));
    const stated = counted.reduce((sum, one) => sum + one.entries, 0);
    const absent = this.#absent.reduce((sum, { from, end }) => sum + end - from, 0);
    const isStated = ({ from, end }: Piece): boolean => {
      let position = from;
      for (let before = -1; position < end && before !== position; ) {
        before = position;
        for (const one of counted)
          if (one.first <= position && one.last >= position) position = Math.max(position, one.last + 1);
      }
      return position >= end;
    };
    if (absent > 0 && (absent + this.#kept > stated || !this.#absent.every(isStated)))
      throw this.#altered('entries of it are gone, and no archive of an earlier month explains that');
    return absent;
  }

  #altered(why = 'its entries do not lead to the root that was signed'): AlteredRecord {
    const { tree } = this.#tree;
    const suspect = this.#suspect;
    const which =
      suspect === undefined
        ? ''
        : `: entry ${suspect.number} (${suspect.kind}) at position ${suspect.position} is not what was sealed`;
    return new AlteredRecord(`tree ${tree}`, `tree ${tree} of the record was changed: ${why}${which}`, suspect?.number);
  }
}

/** Returns whether the month (`2026-11`) was over at that instant. */
function isBefore(month: string, instant: string | null): boolean {
  const over = Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 1);
  return instant !== null && over <= Date.parse(instant);
}
