// Owns: the heads log: each head's trees, its epoch and its map, and the root of the log compared with every checkpoint
// of its size.
// Must never: believe what a head says about a tree before a checkpoint has proved it.
import { instantText } from './findings.js';
import { headsTree, leafHash } from './hash.js';
import { headText, parseHeadLines } from './head.js';
import { rootsMax, secretsMax, tagOf } from './known.js';
import { TreeMap } from './map.js';
import { blockSize, Frontier } from './merkle.js';
import { Growths, HashesByIndex, Rows } from './rows.js';
import { Times } from './times.js';

/**
 * @typedef {import('./findings.js').Findings} Findings
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./head.js').Head} Head
 * @typedef {import('./head.js').HeadTree} HeadTree
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./known.js').Base} Base
 * @typedef {import('./known.js').Known} Known
 * @typedef {import('./witness.js').Mark} Mark
 */

/** What is known of one tree before its entries come. */
export class TreeRecord {
  growths;
  blocks = new HashesByIndex();
  leaves = new HashesByIndex();
  /** Entries that a checkpoint of the witness covers, when the database fits that checkpoint. */
  proven = 0;
  /**
   * The tree of those entries, when each root up to it was right.
   * @type {Frontier | undefined}
   */
  proved;
  /**
   * Of the entries that an earlier run read.
   * @type {Frontier | undefined}
   */
  start;
  /** The last number that such a run read, of any tree. */
  startNumber = 0;

  /** @param {Frontier} [start] @param {Base['head']} [head] With which head, and which was its last number. */
  constructor(start, head) {
    if (start === undefined || head === undefined) {
      this.growths = new Growths();
      return;
    }
    this.growths = new Growths({ size: start.size, head: head.position, high: head.number, root: start.root() });
    this.proven = start.size;
    [this.start, this.proved, this.startNumber] = [start, start, head.number];
  }
}

export class HeadsCheck {
  /** @type {Map<string, TreeRecord>} */
  trees = new Map();
  /** Heads so far, including missing ones. */
  count = 0;
  /** Of the last entry that the heads cover. */
  number = 0;
  /** Up to the last checkpoint that fits. */
  good = { size: 0, number: 0 };
  /**
   * The row to which a changed head points, to be named when it comes.
   * @type {{ readonly finding: Finding, readonly better: import('./findings.js').Better } | undefined}
   */
  suspect;
  #findings;
  #due;
  /** @type {Mark | undefined} */
  #mark;
  /** When heads were sealed. */
  times = new Times();
  #log = new Frontier();
  /** The log without its last head. */
  #before = new Frontier();
  /**
   * What an earlier run proved.
   * @type {Base | undefined}
   */
  #base;
  /** Whether the last head that it read is still there. */
  #isAnchored = false;
  /**
   * At the last checkpoint that fits.
   * @type {Pick<Base, 'before' | 'head'> | undefined}
   */
  #proved;
  /**
   * The checkpoints that fitted last.
   * @type {[size: number, root: string][]}
   */
  #roots = [];
  #firstBlock = 0;
  /** Hashes of 256 heads each. */
  #logBlocks = new Rows(32);
  /** Whether heads are missing, or one was changed: then no later root can fit. */
  #isLogLost = false;
  /** Whether heads are missing: then what they said about trees is not known. */
  #hasGap = false;
  #at = 0;
  /** @type {Buffer | undefined} */
  #secret;
  /**
   * The head with which each epoch began, by what distinguishes its secret from others.
   * @type {Map<string, number>}
   */
  #secrets = new Map();
  /** @type {TreeMap | undefined} */
  #map;
  /** @type {Set<TreeRecord>} */
  #grown = new Set();

  /**
   * @param {Findings} findings
   * @param {Generator<Mark, void>} due
   * @param {Base} [base] What an earlier run proved: only the heads behind it come, and its last one once more.
   */
  constructor(findings, due, base) {
    this.#findings = findings;
    this.#due = due;
    if (base !== undefined) this.#goOn(base);
    this.#advance();
    this.#checkLog();
  }

  /** @param {string} where @param {string} why */
  malformed(where, why) {
    this.#isLogLost = true;
    this.#hasGap = true;
    this.#findings.say('head malformed', `${where}: ${why}`, { head: this.count });
  }

  /** @param {Head} head */
  head(head) {
    const { position, number, at } = head;
    if (position === (this.#base?.head.position ?? -1) && !this.#isAnchored) return this.#anchor(head);
    if (position < this.count) {
      const text = `head ${position} stands where it may not: there is one of that position already`;
      this.#findings.say('head out of order', text, { head: position });
      return;
    }
    if (position > this.count) this.#miss(position);
    const mapRoot = this.#grow(head);
    this.number = Math.max(number, this.number);
    this.#at = at;
    this.times.add(position, at);
    this.count = position + 1;
    if (!this.#isLogLost && mapRoot !== undefined) {
      this.#before = this.#log.copy();
      this.#log.append(leafHash(Buffer.from(headText(head, mapRoot))));
      if (this.#log.block !== undefined) this.#logBlocks.add().set(this.#log.block);
    } else this.#isLogLost = true;
    this.#checkLog();
  }

  /**
   * Returns what the next run can continue from; nothing when something of it was not read.
   * @param {string | undefined} note
   */
  known(note) {
    const proved = this.#proved;
    if (note === undefined || proved === undefined || proved.head.position + 1 !== this.good.size) return undefined;
    /** @type {[tree: string, size: number, roots: string][]} */
    const trees = [];
    for (const tree of [...this.trees.keys()].sort()) {
      const { proven, proved: frontier } = this.trees.get(tree) ?? new TreeRecord();
      if (proven === 0) continue;
      if (frontier?.size !== proven) return undefined;
      trees.push([tree, proven, frontier.roots().toString('base64')]);
    }
    const { position, at, number, secret } = proved.head;
    return {
      note,
      head: { position, at, number, secret: secret.toString('base64') },
      log: proved.before.roots().toString('base64'),
      trees,
      secrets: [...this.#secrets].flatMap(([tag, head]) => (head < this.good.size ? [tag] : [])).slice(-secretsMax),
      roots: this.#roots.slice(-rootsMax),
    };
  }

  /** The trees of the heads in order, after the last head. */
  end() {
    const { head, note } = this.#base ?? {};
    if (head !== undefined && note !== undefined && !this.#isAnchored) this.#sayGone(head.position, note);
    /** @type {Mark | undefined} */
    let last;
    for (; this.#mark !== undefined; this.#advance()) last = this.#mark;
    if (last !== undefined) this.#sayBehind(last);
    this.#map = undefined;
    return [...this.trees.keys()].sort();
  }

  /**
   * Nothing here relies on it, because every head is there; but the gateway itself compares by these.
   * @param {number} index
   * @param {Buffer} block
   */
  block(index, block) {
    const row = index - this.#firstBlock;
    if (this.#isLogLost || (row >= 0 && row < this.#logBlocks.length && this.#logBlocks.at(row).equals(block))) return;
    const [from, to] = [index * blockSize, index * blockSize + blockSize - 1];
    const text = `the heads log: the hash of block ${index} is not that of heads ${from} to ${to}`;
    this.#findings.say('block', text, { tree: headsTree, from, to });
  }

  /** @param {Base} base */
  #goOn(base) {
    const { log, before, head, trees, map, secrets, roots, note } = base;
    this.#base = base;
    this.count = log.size;
    this.number = head.number;
    this.good = { size: log.size, number: head.number };
    this.times.add(head.position, head.at);
    for (const [tree, frontier] of trees) this.trees.set(tree, new TreeRecord(frontier, head));
    [this.#log, this.#before, this.#map, this.#secret, this.#at] = [log.copy(), before, map, head.secret, head.at];
    this.#firstBlock = Math.floor(log.size / blockSize);
    for (const tag of secrets) this.#secrets.set(tag, 0);
    this.#roots = [...roots].filter(([size]) => size < note.size);
    this.#proved = { before, head };
  }

  /**
   * The last head that was read before must be the one that is there now.
   * @param {Head} head
   */
  #anchor({ position, at, number, secret, lines }) {
    this.#isAnchored = true;
    const base = this.#base;
    if (base === undefined) return;
    const trees = parseHeadLines(lines);
    const isSame = (/** @type {HeadTree} */ { tree, size, root }) => {
      const frontier = base.trees.get(tree);
      return frontier?.size === size && frontier.root().equals(root);
    };
    const { head, note } = base;
    if (at === head.at && number === head.number && secret.equals(head.secret) && trees?.every(isSame) === true) return;
    this.#isLogLost = true;
    const text = `head ${position} is not the one that was verified before (checkpoint of size ${note.size}, ${instantText(note.time)}): the database was set back and went on, or the head was changed`;
    this.#findings.say('head changed', text, { head: position, from: position, to: position });
  }

  /** @param {number} position @param {Note} note */
  #sayGone(position, note) {
    const isBehind = this.count === note.size;
    this.#isLogLost = true;
    const said = `head ${position}, which was verified before (checkpoint of size ${note.size}, ${instantText(note.time)})`;
    if (isBehind)
      this.#findings.say('behind', `the database was set back: it does not hold ${said}`, { head: position });
    else
      this.#findings.say('head missing', `the database does not hold ${said}`, {
        head: position,
        from: position,
        to: position,
      });
  }

  /** @param {number} position */
  #miss(position) {
    const [from, to] = [this.count, position - 1];
    const text = `head ${from}${to > from ? ` up to ${to}` : ''} is missing: the first entry that it sealed has number ${this.number + 1}`;
    this.#findings.say('head missing', text, { head: from, from, to, number: this.number + 1 });
    this.#isLogLost = true;
    this.#hasGap = true;
  }

  /**
   * Stores what the head says about its trees. Returns the map root after it, or nothing.
   * @param {Head} head
   */
  #grow(head) {
    const { position, number, lines, at } = head;
    const bad = (/** @type {string} */ text) => {
      this.#findings.say('head malformed', `head ${position}: ${text}`, { head: position });
      return undefined;
    };
    const trees = parseHeadLines(lines);
    const begins = this.#beginsEpoch(head, bad);
    if (at < this.#at)
      bad(
        `it is of ${instantText(Math.floor(at / 1000))}, and the head before it is later: heads never go back in time`,
      );
    if (trees === undefined) return bad('its lines of trees, sizes and roots are malformed or out of order');
    const leaves = trees.reduce(
      (sum, { tree, size }) => sum + Math.max(0, size - (this.trees.get(tree)?.growths.size ?? 0)),
      0,
    );
    const low = number - leaves + 1;
    let isGood = begins !== undefined;
    for (const one of trees) if (!this.#growTree(one, position, low, number, begins === true, bad)) isGood = false;
    if (begins === true) isGood = this.#areAllNamed(trees, bad) && isGood;
    if (trees.length === 0 && begins === false) return bad('it seals nothing and begins no epoch');
    if (!this.#hasGap && number !== this.number + leaves)
      return bad(`its trees grew by ${leaves}, its number from ${this.number} to ${number}`);
    return isGood && !this.#hasGap ? this.#map?.root() : undefined;
  }

  /**
   * Returns whether an epoch begins with this head; undefined when it may not.
   * @param {Head} head
   * @param {(text: string) => undefined} bad
   */
  #beginsEpoch({ secret, position }, bad) {
    if (this.#secret?.equals(secret) === true) return false;
    this.#secret = secret;
    const tag = tagOf(secret);
    const isOld = this.#secrets.has(tag);
    this.#secrets.set(tag, position);
    this.#map = new TreeMap(secret);
    return isOld ? bad('its secret was that of an earlier epoch') : true;
  }

  /**
   * @param {HeadTree} line
   * @param {number} head
   * @param {number} low
   * @param {number} high
   * @param {boolean} begins
   * @param {(text: string) => undefined} bad
   */
  #growTree({ tree, size, root }, head, low, high, begins, bad) {
    const record = this.trees.get(tree) ?? new TreeRecord();
    this.trees.set(tree, record);
    const { growths } = record;
    const before = growths.size;
    if (size < before || (size === before && !begins && !this.#hasGap)) {
      bad(`tree ${tree} had ${before} entries already and is said to have ${size}`);
      return false;
    }
    if (size === before) {
      if (growths.root?.equals(root) !== true) {
        bad(`tree ${tree} did not grow, and its root is another than before`);
        return false;
      }
    } else {
      growths.add(size, root, head, low, high);
      this.#grown.add(record);
    }
    if (this.#isLogLost || this.#map?.set(tree, size, root) !== false) return true;
    bad(`tree ${tree} has the same slot as another: the secret of this epoch may not be used`);
    return false;
  }

  /**
   * No tree vanishes: the first head of an epoch names all of them.
   * @param {readonly HeadTree[]} named
   * @param {(text: string) => undefined} bad
   */
  #areAllNamed(named, bad) {
    if (named.length === this.trees.size) return true;
    const names = new Set(named.map(({ tree }) => tree));
    const left = [...this.trees.keys()].filter((tree) => !names.has(tree));
    bad(`it begins an epoch and leaves out ${left.length} trees, the first of them ${left.sort()[0]}`);
    return false;
  }

  #advance() {
    const next = this.#due.next();
    this.#mark = next.done === true ? undefined : next.value;
  }

  /** Compares the root of the heads log with every checkpoint of its size. */
  #checkLog() {
    const size = this.count;
    for (; this.#mark !== undefined && this.#mark.size <= size; this.#advance()) {
      const mark = this.#mark;
      if (this.#isLogLost || mark.size < size) continue;
      if (!this.#log.root().equals(mark.root)) {
        this.#loseLog(mark);
        continue;
      }
      this.good = { size, number: this.number };
      this.#keep(mark);
      for (const record of this.#grown) record.proven = record.growths.size;
      this.#grown.clear();
    }
  }

  /**
   * For the next run: this checkpoint fits.
   * @param {Mark} mark
   */
  #keep({ size, root }) {
    if (size === 0 || this.#secret === undefined) return;
    if (this.#proved?.head.position !== size - 1)
      this.#proved = {
        before: this.#before,
        head: { position: size - 1, at: this.#at, number: this.number, secret: this.#secret },
      };
    if (this.#roots.at(-1)?.[0] !== size) this.#roots.push([size, root.toString('base64')]);
    if (this.#roots.length > 2 * rootsMax) this.#roots = this.#roots.slice(-rootsMax);
  }

  /** @param {Mark} mark */
  #loseLog(mark) {
    this.#isLogLost = true;
    const from = this.good.size;
    const to = mark.size - 1;
    const [low, high] = [this.good.number + 1, this.number];
    const text = `what was sealed with ${from === to ? `head ${from}` : `heads ${from} to ${to}`} is not what the witness saw (checkpoint of size ${mark.size}, ${instantText(mark.time)}). Entry number ${low} is the first suspect, of ${low} to ${high}; what comes later is proved by nothing`;
    /** @type {Finding} */
    const finding = { what: 'head changed', text, number: low, head: from, from, to };
    this.suspect = { finding, better: this.#findings.add(finding) };
  }

  /** @param {Mark} last */
  #sayBehind(last) {
    const heads = this.count;
    const at = heads === 0 ? '' : `, the last of ${instantText(Math.floor(this.#at / 1000))}`;
    const number = this.number + 1;
    const text = `the database is behind the witness: it holds ${heads} heads${at}; the witness has a checkpoint of ${last.size} heads of ${instantText(last.time)}. The first missing head is ${heads}, the first missing entry has number ${number}. If the dump is older than the witness, copy the witness first, then dump, and verify again`;
    this.#findings.say('behind', text, { number, head: heads, from: heads, to: last.size - 1 });
  }
}
