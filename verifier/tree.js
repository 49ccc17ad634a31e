// Owns: one tree compared with its heads: every entry at its place, every root that a head named, and which positions
// nothing accounts for.
// Must never: take a block or a leaf for the entries for which it stands: they allow the roots to be computed, and
// excuse nothing.

import { Absences } from './absent.js';
import { atPlace, fieldsOf, isOwnTree, leafOf, placeText } from './entry.js';
import { Findings } from './findings.js';
import { blockSize, Frontier } from './merkle.js';
import { archivedKind, statementOf } from './statements.js';
import { Suspects } from './suspects.js';
import { canBeOf, isTooEarly, oddTime } from './times.js';

/**
 * @typedef {import('./entry.js').Entry} Entry
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./findings.js').Better} Better
 * @typedef {import('./findings.js').What} What
 * @typedef {import('./heads.js').TreeRecord} TreeRecord
 * @typedef {import('./statements.js').Statement} Statement
 *
 * What a tree's check needs of the record around it.
 * @typedef {object} Surroundings
 * @property {(number: number) => boolean} isNewNumber
 * @property {(source: number) => string | undefined} sha256Of
 * @property {(sha256: string) => boolean} isGiven Whether the file of this hash is among the archives.
 * @property {(head: number | undefined) => import('./times.js').Sealed | undefined} sealedAt
 */

/** @typedef {{ readonly from: number, readonly to: number, readonly sealed: import('./times.js').Sealed | undefined }} Span Positions that were sealed within one hour. */

/** One tree: feed its entries in order, then close. */
export class TreeCheck {
  entries = 0;
  /**
   * Positions that are stated and were not read, by file.
   * @type {Map<string, number>}
   */
  stated = new Map();
  findings = new Findings();
  #tree;
  #record;
  #around;
  #size;
  #growths;
  #suspects = new Suspects(this.findings);
  #absences;
  /** Fed with what was computed. */
  #frontier = new Frontier();
  /**
   * From the first suspect row on: fed with stored leaves where they differ, so that what follows can still be judged.
   * @type {Frontier | undefined}
   */
  #repaired;
  /** As it was where the current block begins. */
  #blockStart = new Frontier();
  /** The last block of which only the hash was known. */
  #covered = -1;
  /**
   * Entries of a block that are in the database alone, and those that an archive has as well.
   * @type {{ block: number, count: number, shared: Map<number, number> }}
   */
  #owned = { block: -1, count: 0, shared: new Map() };
  #next = 0;
  /** Neither frontier is right any more: roots prove nothing. */
  #isLost = false;
  /** The size at the last root that was right, and the number of the first entry after it. */
  #goodSize = 0;
  /** @type {number | undefined} */
  #goodNumber;
  /** @type {{ readonly from: number, readonly to: number, readonly better: Better } | undefined} */
  #lostRoot;
  #blamed = -1;
  /**
   * The first row since then whose number another head sealed.
   * @type {{ readonly entry: Entry, readonly isLater: boolean, readonly low: number, readonly high: number } | undefined}
   */
  #foreign;
  /** @type {{ readonly entry: Entry, readonly better: Better, count: number } | undefined} */
  #beyond;
  /** @type {{ readonly number: number, readonly beforeIt: number, readonly leaf: Buffer, readonly source: number } | undefined} */
  #before;
  /** @type {readonly Span[] | undefined} */
  #spans;
  /**
   * @param {string} tree
   * @param {TreeRecord} record
   * @param {Surroundings} around
   */
  constructor(tree, record, around) {
    this.#tree = tree;
    this.#record = record;
    this.#around = around;
    this.#size = record.growths.size;
    this.#growths = record.growths.reader();
    this.#absences = new Absences(tree, this.findings, around);
    const { start, startNumber: number } = record;
    if (start === undefined) return;
    // This run begins where an earlier run ended.
    [this.#frontier, this.#blockStart] = [start.copy(), start.wholeBlocks()];
    [this.#next, this.#goodSize] = [start.size, start.size];
    this.#before = { number, beforeIt: number, leaf: Buffer.alloc(0), source: 0 };
  }

  /**
   * The statements that count.
   * @returns {readonly Statement[]}
   */
  get statements() {
    return this.#absences.statements;
  }

  /** @param {Entry} entry @param {number} source */
  entry(entry, source) {
    const leaf = leafOf(entry);
    if (source > 0) this.#absences.partOf(entry.position, source);
    if (entry.position < this.#next) return this.#again(entry, leaf, source);
    this.entries += 1;
    if (entry.position >= this.#size) return this.#unsealed(entry);
    if (entry.position > this.#next) this.#skip(entry.position);
    if (source > 0)
      this.#absences.keep({
        from: entry.position,
        to: entry.position,
        sources: [source],
        isHashed: true,
        sealed: undefined,
      });
    else this.#own(entry.position);
    this.#goodNumber ??= entry.position === this.#goodSize ? entry.number : undefined;
    if (!leaf.equals(entry.leaf)) {
      this.#blamed = entry.position;
      this.#repaired ??= this.#frontier.copy();
      this.#suspects.accuse(entry, this.#before?.number, (finding) => this.#sayBetter(finding));
    } else {
      this.#checkFields(entry);
      this.#checkNumber(entry);
    }
    this.#before = { number: entry.number, beforeIt: this.#before?.number ?? 0, leaf, source };
    this.#grow(leaf, entry.leaf);
  }

  /**
   * An entry that cannot be read still occupies its place.
   * @param {number} position
   */
  unreadable(position) {
    if (position < this.#next || position >= this.#size) return;
    if (position > this.#next) this.#skip(position);
    this.#isLost = true;
    this.#blamed = position;
    this.#next = position + 1;
    this.#passSizes();
  }

  close() {
    if (this.#beyond !== undefined && this.#suspects.shift === 0) this.#sayBeyond(this.#beyond);
    // Rows that moved up leave a place at the end: that was reported where they begin to move.
    const isMoved = this.#suspects.shift !== 0 && this.#size - this.#next <= Math.abs(this.#suspects.shift);
    if (this.#next < this.#size && !isMoved) this.#skip(this.#size);
    this.#settle();
    this.stated = this.#absences.close((month) => this.#within(month));
    const last = this.#record.blocks.last;
    if ((last + 1) * blockSize > this.#size && last >= 0) {
      const text = `tree ${this.#tree}: there is a block ${last}, but only ${this.#size} entries were sealed`;
      this.findings.say('block', text, {
        tree: this.#tree,
        from: last * blockSize,
        to: last * blockSize + blockSize - 1,
      });
    }
  }

  /** Between which positions those lie that can be of this month, by the heads that sealed them; nothing: there are none. @param {string} month */
  #within(month) {
    this.#spans ??= this.#spansOf();
    const fitting = this.#spans.filter(({ sealed }) => canBeOf(month, sealed));
    const [first, last] = [fitting[0], fitting.at(-1)];
    return first === undefined || last === undefined ? undefined : { from: first.from, to: last.to };
  }

  /** @returns {readonly Span[]} */
  #spansOf() {
    /** @type {(Span & { to: number })[]} */
    const spans = [];
    const growths = this.#record.growths.reader();
    for (let growth = growths.next; growth !== undefined; growth = growths.next) {
      const sealed = this.#around.sealedAt(growth.head);
      const last = spans.at(-1);
      if (last !== undefined && last.sealed?.to === sealed?.to) last.to = growth.size - 1;
      else
        spans.push({
          from: last === undefined ? (this.#record.start?.size ?? 0) : last.to + 1,
          to: growth.size - 1,
          sealed,
        });
      growths.step();
    }
    return spans;
  }

  // ---- What an entry says

  /** @param {Entry} entry */
  #checkFields(entry) {
    const { customer, kind } = fieldsOf(entry);
    const bad = (/** @type {What} */ what, /** @type {string} */ text) =>
      this.findings.say(what, `${placeText(entry.tree, entry.position, entry.number)}: ${text}`, atPlace(entry));
    if (!isOwnTree(entry.tree, customer))
      bad(
        'misplaced',
        `it is of ${customer === null ? 'no customer' : `customer ${customer}`} and stands in another tree`,
      );
    // Inside one tree it is out of order, and was reported.
    const isNew = this.#around.isNewNumber(entry.number);
    if (!isNew && entry.number > (this.#before?.number ?? 0)) bad('number', 'another entry has the same number');
    const sealed = this.#around.sealedAt(this.#growths.next?.head);
    const odd = oddTime(entry.cells[3], sealed);
    if (odd !== undefined) bad('time', odd);
    if (kind !== archivedKind) return;
    const statement = statementOf(entry);
    if (statement === undefined)
      bad('statement', 'it states that entries are in an archive, and not which, or not rightly');
    else if (isTooEarly(statement.month, sealed))
      bad(
        'statement',
        `it states that entries of ${statement.month} are in an archive, and was sealed before that month may leave`,
      );
    else if (entry.position >= this.#record.proven) this.#absences.passOver();
    else this.#absences.state(statement, Math.floor(entry.position / blockSize));
  }

  /**
   * Inside a tree numbers grow, and each lies among those of the head that sealed it.
   * @param {Entry} entry
   */
  #checkNumber(entry) {
    const { low, high } = this.#growths.next ?? { low: 1, high: 0 };
    const { number, beforeIt } = this.#before ?? { number: 0, beforeIt: 0 };
    const { tree, position } = entry;
    if (entry.number > number) {
      // The root decides whether a row is missing here or a number was changed.
      if (entry.number < low || entry.number > high)
        this.#foreign ??= { entry, isLater: entry.number > high, low, high };
      return;
    }
    const isAfterOdd = this.#blamed === position - 1;
    this.#blamed = position;
    if (isAfterOdd) return;
    // When it fits after the one before the last, the last one is wrong.
    const isLastForeign = this.#foreign?.isLater === true && this.#foreign.entry.position === position - 1;
    const isLastWrong = entry.number > beforeIt && (entry.number >= low || isLastForeign);
    const [at, odd] = isLastWrong ? [position - 1, number] : [position, entry.number];
    const text = `the row is not where it was sealed: number ${entry.number} comes behind number ${number}`;
    this.#sayBetter({
      what: 'out of order',
      text: `${placeText(tree, at, odd)}: ${text}`,
      tree,
      position: at,
      number: odd,
    });
  }

  // ---- Roots

  /** @param {Buffer} computed @param {Buffer} stored */
  #grow(computed, stored) {
    this.#next += 1;
    if (this.#isLost) return this.#passSizes();
    if (this.#next > this.#frontier.size) {
      this.#frontier.append(computed);
      this.#repaired?.append(stored);
    }
    if (this.#frontier.block !== undefined && this.#frontier.size === this.#next)
      this.#checkBlock(this.#frontier.block);
    this.#checkRoot();
  }

  /** Sizes that lie inside a block, or after which nothing can be said. */
  #passSizes() {
    while (this.#growths.next !== undefined && this.#growths.next.size <= this.#next) this.#growths.step();
  }

  #checkRoot() {
    // A root inside a block of which only the hash is known cannot be computed, and those after it cannot be compared
    // one by one.
    const isInside = this.#frontier.size > this.#next;
    for (let passed = this.#growths.next; passed !== undefined; passed = this.#growths.next) {
      if (passed.size > this.#next || (passed.size === this.#next && !isInside)) break;
      this.#growths.pass();
    }
    if (isInside) return;
    if (this.#next % blockSize === 0) this.#blockStart = this.#frontier.copy();
    const growth = this.#growths.next;
    if (growth?.size !== this.#next) return;
    if (growth.isNamed(this.#frontier.root())) this.#suspects.onlyLeaves(this.#goodSize);
    else if (this.#repaired !== undefined && growth.isNamed(this.#repaired.root())) this.#frontier = this.#repaired;
    else {
      this.#loseRoot(growth.head);
      this.#growths.step();
      return;
    }
    this.#growths.step();
    if (this.#foreign !== undefined) this.#sayForeign(this.#foreign);
    this.#foreign = undefined;
    this.#repaired = undefined;
    if (this.#next === this.#record.proven) this.#record.proved = this.#frontier.copy();
    this.#goodSize = this.#next;
    this.#goodNumber = undefined;
  }

  /** @param {number} head */
  #loseRoot(head) {
    this.#isLost = true;
    // A row was named already since the last right root: that is the reason.
    if (this.#blamed >= this.#goodSize) return;
    const from = this.#goodSize;
    const to = this.#next - 1;
    const { tree, what, why } = { tree: this.#tree, ...this.#reason(from, to) };
    const text = `${placeText(tree, from, this.#goodNumber)}: ${why}: the root that head ${head} sealed is another. What follows in this tree could be compared with its stored leaves only`;
    const better = this.findings.say(what, text, { tree, position: from, number: this.#goodNumber, head, from, to });
    this.#lostRoot = { from, to, better };
  }

  /** @param {number} from @param {number} to @returns {{ readonly what: What, readonly why: string }} */
  #reason(from, to) {
    const first =
      from === to ? 'the entry' : `one of the entries at positions ${from} to ${to} (this is the first of them)`;
    const foreign = this.#foreign;
    if (foreign?.isLater !== true)
      return { what: 'changed', why: `${first} was changed after it was sealed, together with its leaf hash` };
    const { position, number } = foreign.entry;
    return {
      what: 'missing',
      why: `${first} is missing: at position ${position} stands number ${number}, which was sealed later`,
    };
  }

  /**
   * The root is right all the same: whoever sealed gave a number that its head does not cover.
   * @param {{ readonly entry: Entry, readonly low: number, readonly high: number }} foreign
   */
  #sayForeign({ entry, low, high }) {
    const text = `its head sealed the numbers ${low} to ${high} only`;
    this.findings.say(
      'out of order',
      `${placeText(entry.tree, entry.position, entry.number)}: ${text}`,
      atPlace(entry),
    );
  }

  /** @param {Buffer} block */
  #checkBlock(block) {
    const index = this.#next / blockSize - 1;
    const stored = this.#record.blocks.get(index);
    const from = index * blockSize;
    if (stored === undefined || stored.equals(block) || this.#blamed >= from || this.#repaired !== undefined) return;
    const text = `tree ${this.#tree}: the hash of block ${index} is not that of its entries (positions ${from} to ${this.#next - 1})`;
    this.findings.say('block', text, { tree: this.#tree, from, to: this.#next - 1 });
  }

  // ---- What is not there

  /**
   * Positions that are not there: blocks and leaves still allow the roots to be computed.
   * @param {number} to
   */
  #skip(to) {
    const { blocks, leaves } = this.#record;
    while (this.#next < to) {
      const from = this.#next;
      const sealed = this.#growths.next;
      const index = Math.floor(from / blockSize);
      const end = (index + 1) * blockSize;
      const isWhole = from % blockSize === 0 && end <= to;
      const leaf = isWhole && blocks.get(index) !== undefined ? undefined : leaves.get(from);
      const block = leaf === undefined && end <= this.#size ? blocks.get(index) : undefined;
      if (leaf !== undefined) this.#next += 1;
      else if (block !== undefined) this.#next = Math.min(end, to);
      else {
        const known = blocks.from(index + 1);
        this.#next = known !== undefined && (known + 1) * blockSize <= to ? known * blockSize : to;
        this.#blamed = this.#next - 1;
        this.#isLost = true;
      }
      if (this.#isLost) this.#passSizes();
      else if (block !== undefined) this.#cover(index, block);
      else if (leaf !== undefined) this.#growBy(leaf);
      this.#absences.keep({
        from,
        to: this.#next - 1,
        sources: [],
        isHashed: leaf !== undefined || block !== undefined,
        sealed,
      });
    }
  }

  /** @param {Buffer} leaf */
  #growBy(leaf) {
    if (this.#next > this.#frontier.size) {
      this.#frontier.append(leaf);
      this.#repaired?.append(leaf);
      if (this.#frontier.block !== undefined) this.#checkBlock(this.#frontier.block);
    }
    this.#checkRoot();
  }

  /**
   * A block stands for all its 256 entries, including those that are there.
   * @param {number} index
   * @param {Buffer} block
   */
  #cover(index, block) {
    if (this.#owned.block !== index) this.#settle();
    if (this.#covered !== index) {
      this.#covered = index;
      this.#absences.cover(index);
      // A row that is not what its stored leaf says was named, and the block was not computed from it.
      this.#repaired = undefined;
      this.#frontier = this.#blockStart.copy();
      this.#frontier.appendBlock(block);
    }
    this.#checkRoot();
  }

  /**
   * Counts the entries of a block that only the database has.
   * @param {number} position
   */
  #own(position) {
    const block = Math.floor(position / blockSize);
    if (block !== this.#owned.block) {
      this.#settle();
      this.#owned = { block, count: 0, shared: new Map() };
    }
    this.#owned.count += 1;
  }

  /**
   * The last of those is in an archive as well.
   * @param {number} source
   */
  #share(source) {
    const { shared } = this.#owned;
    this.#owned.count -= 1;
    shared.set(source, (shared.get(source) ?? 0) + 1);
  }

  /** Entries beside absent ones of which no leaf is known: nothing proves that they are what was sealed. */
  #settle() {
    const { block, count, shared } = this.#owned;
    this.#owned = { block, count: 0, shared: new Map() };
    if (block !== this.#covered) return;
    if (count > 0) this.#absences.lean(0, block, count);
    for (const [source, some] of shared) this.#absences.lean(source, block, some);
  }

  // ---- Rows that are too many

  /**
   * A row for a place that is occupied, or that has been passed.
   * @param {Entry} entry @param {Buffer} leaf @param {number} source
   */
  #again(entry, leaf, source) {
    const isLast = entry.position === this.#next - 1;
    // An entry may be in an archive and still in the database: the very same one.
    const before = isLast ? this.#before : undefined;
    if (before !== undefined && before.source !== source && leaf.equals(before.leaf) && leaf.equals(entry.leaf)) {
      if (before.source === 0) this.#share(source);
      else this.#absences.alsoIn(entry.position, source);
      this.#before = { ...before, source };
      return;
    }
    this.entries += 1;
    if (this.#absences.isLate(entry)) return;
    const text = isLast
      ? 'a second row claims this position: one of the two was inserted'
      : `the row stands behind position ${this.#next - 1}`;
    const what = isLast ? 'inserted' : 'out of order';
    this.findings.add({
      what,
      text: `${placeText(entry.tree, entry.position, entry.number)}: ${text}`,
      ...atPlace(entry),
    });
  }

  /** @param {Entry} entry */
  #unsealed(entry) {
    if (this.#beyond !== undefined) this.#beyond.count += 1;
    else if (this.#suspects.shift === 0) {
      this.#beyond = { entry, count: 1, better: this.findings.say('inserted', '', { ...atPlace(entry) }) };
      this.#sayBeyond(this.#beyond);
    }
  }

  /** @param {{ readonly entry: Entry, readonly count: number, readonly better: Better }} beyond */
  #sayBeyond({ entry, count, better }) {
    const sealed = this.#size === 0 ? 'no head names this tree' : `the heads know ${this.#size} entries of this tree`;
    const text = `${placeText(entry.tree, entry.position, entry.number)}: inserted: ${sealed}${count > 1 ? `; ${count - 1} more rows follow it` : ''}`;
    better({ what: 'inserted', text, ...atPlace(entry), from: entry.position, to: entry.position + count - 1 });
  }

  /**
   * Replaces a finding that named a whole range, when this row lies in it.
   * @param {Finding & { readonly position: number }} finding
   */
  #sayBetter(finding) {
    const range = this.#lostRoot;
    if (range === undefined || finding.position < range.from || finding.position > range.to) this.findings.add(finding);
    else range.better(finding);
  }
}
