// Owns: the whole record, line by line: heads first, then blocks and leaves, then entries by tree and position; at the
// end the verdict.
// Must never: call a record good of which something was not read.

import { atPlace, fieldsOf, parseEntry, placeText } from './entry.js';
import { instantText, spanText } from './findings.js';
import { fromHex, headsTree, isCount, isUuid } from './hash.js';
import { parseHead } from './head.js';
import { HeadsCheck, TreeRecord } from './heads.js';
import { onlyProperty } from './json.js';
import { Numbers } from './rows.js';
import { deletedFileOf, deletedKind } from './statements.js';
import { TreeCheck } from './tree.js';

/**
 * @typedef {import('./entry.js').Entry} Entry
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./known.js').Base} Base
 * @typedef {import('./known.js').Known} Known
 * @typedef {import('./statements.js').Statement} Statement
 * @typedef {import('./witness.js').Loss} Loss
 * @typedef {import('./witness.js').Witness} Witness
 *
 * @typedef {'good' | 'bad' | 'incomplete'} Verdict
 *
 * An archive of which lines will come. Its number as a source is its place in the list, the first is 1.
 * @typedef {{ readonly file: string, readonly sha256: string }} Archive
 *
 * @typedef {object} Report
 * @property {Verdict} verdict
 * @property {boolean} ok Whether the verdict is good.
 * @property {number} entries That were read.
 * @property {number} archived Positions that the record states to be in archives which were not read.
 * @property {number} heads
 * @property {number} trees
 * @property {number} checkpoints
 * @property {{ readonly size: number, readonly time: string, readonly era: number } | null} newest
 * @property {number} abandoned Different sizes of abandoned checkpoints, per era, added up.
 * @property {{ readonly heads: number, readonly entries: number }} unwitnessed Beyond the newest checkpoint: nobody has witnessed them yet.
 * @property {readonly Loss[]} lost
 * @property {number} found All that was found; `findings` holds the first twenty, and the first of each tree.
 * @property {Finding | null} firstRow
 * @property {readonly Finding[]} findings
 * @property {readonly string[]} read What was read, in sentences.
 * @property {readonly string[]} notRead What was not, in sentences.
 *
 * @typedef {object} VerificationOptions
 * @property {Witness} witness Closed.
 * @property {number} now Milliseconds since 1970: the clock of the machine that verifies.
 * @property {number} maxAgeSeconds 0: a checkpoint of any age will do.
 * @property {readonly Archive[]} [archives]
 * @property {Base | undefined} [base] What an earlier run proved, when only what was sealed since is read.
 */

const parts = ['head', 'block', 'leaf', 'entry'];

/** Feed the lines of a dump (and of archives, merged by tree and position), then finish. */
export class Verification {
  findings;
  #witness;
  #heads;
  #archives;
  /** Hashes of the archives. */
  #given;
  /** Lines of each archive. @type {number[]} */
  #lines;
  #part = 0;
  #numbers = new Numbers();
  /** The last number that an earlier run read. */
  #before;
  /**
   * In order; undefined while heads may still come.
   * @type {readonly string[] | undefined}
   */
  #names;
  #nextName = 0;
  /** @type {string | undefined} */
  #tree;
  /** @type {TreeCheck | undefined} */
  #check;
  #entries = 0;
  /**
   * Positions and trees that are stated and were not read, by file.
   * @type {Map<string, { positions: number, trees: number }>}
   */
  #unread = new Map();
  /**
   * Files that the record names, by hash.
   * @type {Map<string, { readonly file: string, readonly totals: Set<number> }>}
   */
  #stated = new Map();
  /** @type {Set<string>} */
  #deleted = new Set();

  /** @param {VerificationOptions} options */
  constructor({ witness, now, maxAgeSeconds, archives = [], base }) {
    this.findings = witness.findings;
    this.#witness = witness;
    this.#archives = archives;
    this.#given = new Set(archives.map(({ sha256 }) => sha256));
    this.#lines = archives.map(() => 0);
    this.#checkAge(now, maxAgeSeconds);
    this.#before = base?.head.number ?? 0;
    this.#heads = new HeadsCheck(this.findings, witness.accepted(), base);
  }

  /**
   * Processes one line, parsed. `where` names file and line; `source` is 0 for the dump.
   * @param {unknown} value
   * @param {string} where
   * @param {number} [source]
   */
  line(value, where, source = 0) {
    const [kind, row] = onlyProperty(value);
    const part = parts.indexOf(kind ?? '');
    if (part === -1 || !Array.isArray(row) || (source > 0 && kind !== 'entry'))
      this.findings.say('malformed', `${where}: this line is neither head nor block nor leaf nor entry`);
    else if (part < this.#part) this.#sayLate(String(kind), row, where);
    else {
      this.#part = part;
      if (kind === 'head') this.#headRow(row, where);
      else if (kind === 'block') this.#hashRow(row, where, 'block');
      else if (kind === 'leaf') this.#hashRow(row, where, 'leaf');
      else this.#entryRow(row, where, source);
    }
  }

  /** @returns {Report} */
  finish() {
    const names = this.#endHeads();
    this.#closeUpTo(undefined);
    this.#checkArchives();
    const { findings } = this;
    const witness = this.#witness;
    const { newest } = witness;
    const heads = this.#heads;
    const notRead = this.#notRead();
    const verdict = findings.count > 0 ? 'bad' : notRead.length > 0 ? 'incomplete' : 'good';
    return {
      verdict,
      ok: verdict === 'good',
      entries: this.#entries,
      archived: [...this.#unread.values()].reduce((sum, { positions }) => sum + positions, 0),
      heads: heads.count,
      trees: names.length,
      checkpoints: witness.checkpoints,
      newest: newest === undefined ? null : { size: newest.size, time: instantText(newest.time), era: newest.era },
      abandoned: witness.abandoned,
      unwitnessed: { heads: heads.count - heads.good.size, entries: Math.max(0, heads.number - heads.good.number) },
      lost: witness.losses.toReversed(),
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
      read: [...witness.read, ...this.#readArchives()],
      notRead,
    };
  }

  /**
   * Returns what the next run can continue from, after a good end of this one.
   * @returns {Known | undefined}
   */
  known() {
    const { newest, newestNote, places } = this.#witness;
    if (newest === undefined || newest.size !== this.#heads.good.size) return undefined;
    const known = this.#heads.known(newestNote);
    return known === undefined ? undefined : { ...known, witnesses: places };
  }

  // ---- Lines

  /** @param {string} kind @param {readonly unknown[]} row @param {string} where */
  #sayLate(kind, row, where) {
    const behind = parts[this.#part] ?? '';
    if (kind === 'head')
      this.findings.say(
        'head out of order',
        `${where}: a head stands behind ${behind} lines`,
        isCount(row[0]) ? { head: row[0] } : {},
      );
    else
      this.findings.say(kind === 'block' ? 'block' : 'malformed', `${where}: a ${kind} stands behind ${behind} lines`);
  }

  /** @param {readonly unknown[]} row @param {string} where */
  #headRow(row, where) {
    const head = parseHead(row);
    if (typeof head === 'string') this.#heads.malformed(where, head);
    else this.#heads.head(head);
  }

  /** @param {readonly unknown[]} row @param {string} where @param {'block' | 'leaf'} kind */
  #hashRow(row, where, kind) {
    const [tree, index, text] = row;
    const hash = fromHex(text, 32);
    this.#endHeads();
    const what = kind === 'block' ? 'block' : 'malformed';
    if (row.length !== 3 || typeof tree !== 'string' || !isCount(index) || hash === undefined) {
      this.findings.say(what, `${where}: this is not a ${kind}`);
      return;
    }
    if (kind === 'block' && tree === headsTree) {
      this.#heads.block(index, hash);
      return;
    }
    const record = this.#heads.trees.get(tree);
    const hashes = kind === 'block' ? record?.blocks : record?.leaves;
    if (hashes !== undefined && index > hashes.last) hashes.add(index, hash);
    else {
      const why = hashes === undefined ? 'belongs to no tree of the heads' : 'is there twice, or out of order';
      this.findings.say(what, `${where}: ${kind} ${index} of tree ${tree} ${why}`, isUuid(tree) ? { tree } : {});
    }
  }

  /** @param {readonly unknown[]} row @param {string} where @param {number} source */
  #entryRow(row, where, source) {
    if (source > 0) this.#lines[source - 1] = (this.#lines[source - 1] ?? 0) + 1;
    const entry = parseEntry(row);
    if (entry !== undefined) return this.#entry(entry, source);
    const [tree, position, number] = row;
    if (!isUuid(tree) || !isCount(position)) {
      this.findings.say('malformed', `${where}: this is not an entry`);
      return;
    }
    const known = isCount(number) ? number : undefined;
    const text = `${placeText(tree, position, known)}: a field is not of its kind, or there are too many or too few (${where})`;
    if (!this.#enter(tree, position, known)) return;
    this.#check?.findings.add({ what: 'malformed', text, tree, position, number: known });
    this.#check?.unreadable(position);
  }

  /** @param {Entry} entry @param {number} source */
  #entry(entry, source) {
    if (!this.#enter(entry.tree, entry.position, entry.number)) return;
    const { kind } = fieldsOf(entry);
    this.#check?.entry(entry, source);
    if (kind === deletedKind && entry.position < (this.#heads.trees.get(entry.tree)?.proven ?? 0)) {
      const file = deletedFileOf(entry);
      if (file !== undefined) this.#deleted.add(file);
    }
    const { suspect } = this.#heads;
    if (suspect?.finding.number !== entry.number) return;
    this.#heads.suspect = undefined;
    const text = `${placeText(entry.tree, entry.position, entry.number)}: ${suspect.finding.text}`;
    suspect.better({ ...suspect.finding, text, ...atPlace(entry) });
  }

  // ---- Trees

  #endHeads() {
    this.#names ??= this.#heads.end();
    return this.#names;
  }

  /**
   * Makes `tree` the one that is checked. Returns false for a row of a tree that has been passed.
   * @param {string} tree
   * @param {number} position
   * @param {number | undefined} number
   */
  #enter(tree, position, number) {
    this.#endHeads();
    if (tree === this.#tree) return true;
    if (this.#tree !== undefined && tree < this.#tree) {
      this.#entries += 1;
      const text = `${placeText(tree, position, number)}: the row stands behind rows of tree ${this.#tree}`;
      this.findings.say('out of order', text, { tree, position, number });
      return false;
    }
    this.#closeUpTo(tree);
    this.#tree = tree;
    this.#check = this.#open(tree);
    return true;
  }

  /** @param {string} tree */
  #open(tree) {
    return new TreeCheck(tree, this.#heads.trees.get(tree) ?? new TreeRecord(), {
      isNewNumber: (number) => number > this.#before && (number > this.#heads.number || this.#numbers.see(number)),
      sealedAt: (head) => (head === undefined ? undefined : this.#heads.times.of(head)),
      sha256Of: (source) => this.#archives[source - 1]?.sha256,
      isGiven: (sha256) => this.#given.has(sha256),
    });
  }

  /** @param {Statement} statement */
  #state({ file, sha256, total }) {
    const known = this.#stated.get(sha256);
    if (known === undefined) this.#stated.set(sha256, { file, totals: new Set([total]) });
    else known.totals.add(total);
  }

  /**
   * Closes the current tree, and every one before `tree` of which no row came.
   * @param {string | undefined} tree
   */
  #closeUpTo(tree) {
    if (this.#check !== undefined) this.#close(this.#check);
    this.#check = undefined;
    const names = this.#names ?? [];
    for (
      let name = names[this.#nextName];
      name !== undefined && (tree === undefined || name <= tree);
      name = names[this.#nextName]
    ) {
      this.#nextName += 1;
      if (name !== tree && name !== this.#tree) this.#close(this.#open(name));
    }
  }

  /** @param {TreeCheck} check */
  #close(check) {
    check.close();
    this.#entries += check.entries;
    this.findings.take(check.findings);
    for (const statement of check.statements) this.#state(statement);
    for (const [file, positions] of check.stated) {
      const before = this.#unread.get(file) ?? { positions: 0, trees: 0 };
      this.#unread.set(file, { positions: before.positions + positions, trees: before.trees + 1 });
    }
  }

  // ---- What was read, and what was not

  #checkArchives() {
    for (const [i, { file, sha256 }] of this.#archives.entries()) {
      const stated = this.#stated.get(sha256);
      const lines = this.#lines[i] ?? 0;
      if (stated !== undefined && [...stated.totals].some((total) => total !== lines))
        this.findings.say(
          'archive',
          `${file} holds ${lines} entries; the record states ${[...stated.totals].slice(0, 3).join(' and ')}`,
        );
      if (stated === undefined && [...this.#stated.values()].some((one) => one.file === file))
        this.findings.say('archive', `${file} is not the file that the record states: its SHA-256 is ${sha256}`);
    }
  }

  #readArchives() {
    return this.#archives.map(({ file, sha256 }, i) => {
      const why = this.#stated.has(sha256)
        ? 'as the record states it'
        : 'no sealed statement names it by its hash, so it counts for nothing';
      return `archive ${file}: ${this.#lines[i] ?? 0} entries, ${why}`;
    });
  }

  #notRead() {
    const { newest } = this.#witness;
    const sentences = [...this.#unread].map(([file, { positions, trees }]) => {
      const why = this.#deleted.has(file) ? 'its retention has ended, as the record states' : 'it was not given';
      return `archive ${file}: ${positions} entries of ${trees} trees are in it by the record's own statement, and ${why}`;
    });
    if (newest === undefined)
      sentences.push('the witness holds no checkpoint that is to be believed: nothing proves this record');
    else if (newest.size === 0)
      sentences.push('the newest checkpoint of the witness is of a record that holds nothing yet: it proves no entry');
    return sentences;
  }

  /** @param {number} now @param {number} maxAgeSeconds */
  #checkAge(now, maxAgeSeconds) {
    const { newest } = this.#witness;
    if (newest === undefined || maxAgeSeconds === 0) return;
    const age = Math.floor((now - newest.time) / 1000);
    const time = instantText(newest.time);
    if (age > maxAgeSeconds)
      this.findings.say(
        'old',
        `the newest checkpoint of the witness is ${spanText(age)} old (${time}; ${spanText(maxAgeSeconds)} are allowed): bring the newest witness, or find out why nothing was sealed since`,
      );
    else if (-age > maxAgeSeconds)
      this.findings.say(
        'from the future',
        `the newest checkpoint of the witness is of ${time}, ${spanText(-age)} ahead of this machine's clock: set the clock right`,
      );
  }
}
