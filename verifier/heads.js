// Owns: the heads log: each head's trees, its epoch and its map, the root of the log against every checkpoint of its size.
// Must never: believe that a tree stands as a head says before a checkpoint has proved it.
import { instantText } from './findings.js';
import { headsTree, leafHash } from './hash.js';
import { headText, parseHeadLines } from './head.js';
import { TreeMap } from './map.js';
import { blockSize, Frontier } from './merkle.js';
import { Growths, HashesByIndex, Rows } from './rows.js';

/**
 * @typedef {import('./findings.js').Findings} Findings
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./head.js').Head} Head
 * @typedef {import('./head.js').HeadTree} HeadTree
 * @typedef {import('./witness.js').Mark} Mark
 */

/** What is known of one tree before its entries come. */
export class TreeRecord {
  growths = new Growths();
  blocks = new HashesByIndex();
  leaves = new HashesByIndex();
  /** Entries that a checkpoint of the witness covers, and its database fits. */
  proven = 0;
}

export class HeadsCheck {
  /** @type {Map<string, TreeRecord>} */
  trees = new Map();
  /** Heads so far, those that are missing among them. */
  count = 0;
  /** Of the last entry that the heads speak of. */
  number = 0;
  /** Up to the last checkpoint that fits. */
  good = { size: 0, number: 0 };
  /** The row that a changed head points at, to be named when it comes. @type {{ readonly finding: Finding, readonly better: import('./findings.js').Better } | undefined} */
  suspect;
  #findings;
  #due;
  /** @type {Mark | undefined} */
  #mark;
  #log = new Frontier();
  /** Hashes of 256 heads each. */
  #logBlocks = new Rows(32);
  /** Whether heads are missing, or one was changed: no later root can fit. */
  #isLogLost = false;
  /** Whether heads are missing: what they said of trees is not known. */
  #hasGap = false;
  #at = 0;
  /** @type {Buffer | undefined} */
  #secret;
  /** @type {Set<string>} */
  #secrets = new Set();
  /** @type {TreeMap | undefined} */
  #map;
  /** @type {Set<TreeRecord>} */
  #grown = new Set();

  /**
   * @param {Findings} findings
   * @param {Generator<Mark, void>} due
   */
  constructor(findings, due) {
    this.#findings = findings;
    this.#due = due;
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
    if (position < this.count) {
      const text = `head ${position} stands where it may not: there is one of that position already`;
      this.#findings.say('head out of order', text, { head: position });
      return;
    }
    if (position > this.count) this.#miss(position);
    const mapRoot = this.#grow(head);
    this.number = Math.max(number, this.number);
    this.#at = at;
    this.count = position + 1;
    if (!this.#isLogLost && mapRoot !== undefined) {
      this.#log.append(leafHash(Buffer.from(headText(head, mapRoot))));
      if (this.#log.block !== undefined) this.#logBlocks.add().set(this.#log.block);
    } else this.#isLogLost = true;
    this.#checkLog();
  }

  /** The trees of the heads in order, after the last head. */
  end() {
    /** @type {Mark | undefined} */
    let last;
    for (; this.#mark !== undefined; this.#advance()) last = this.#mark;
    if (last !== undefined) this.#sayBehind(last);
    this.#map = undefined;
    return [...this.trees.keys()].sort();
  }

  /**
   * Nothing rests on it here, every head is there; but the gateway itself compares by these.
   * @param {number} index
   * @param {Buffer} block
   */
  block(index, block) {
    if (this.#isLogLost || (index < this.#logBlocks.length && this.#logBlocks.at(index).equals(block))) return;
    const [from, to] = [index * blockSize, index * blockSize + blockSize - 1];
    const text = `the heads log: the hash of block ${index} is not that of heads ${from} to ${to}`;
    this.#findings.say('block', text, { tree: headsTree, from, to });
  }

  /** @param {number} position */
  #miss(position) {
    const [from, to] = [this.count, position - 1];
    const text = `head ${from}${to > from ? ` up to ${to}` : ''} is missing: the first entry that it sealed has number ${this.number + 1}`;
    this.#findings.say('head missing', text, { head: from, from, to, number: this.number + 1 });
    this.#isLogLost = true;
    this.#hasGap = true;
  }

  /** Writes down what the head says of its trees. The map root after it, or nothing. @param {Head} head */
  #grow(head) {
    const { position, number, lines } = head;
    const bad = (/** @type {string} */ text) => {
      this.#findings.say('head malformed', `head ${position}: ${text}`, { head: position });
      return undefined;
    };
    const trees = parseHeadLines(lines);
    const begins = this.#beginsEpoch(head, bad);
    if (trees === undefined) return bad('its lines of trees, sizes and roots are malformed or out of order');
    const leaves = trees.reduce((sum, { tree, size }) => sum + Math.max(0, size - (this.trees.get(tree)?.growths.size ?? 0)), 0);
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
   * Whether an epoch begins with this head; undefined: it may not.
   * @param {Head} head
   * @param {(text: string) => undefined} bad
   */
  #beginsEpoch({ secret }, bad) {
    if (this.#secret?.equals(secret) === true) return false;
    this.#secret = secret;
    const text = secret.toString('latin1');
    const isOld = this.#secrets.has(text);
    this.#secrets.add(text);
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

  /** The root of the heads log against every checkpoint of its size. */
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
      for (const record of this.#grown) record.proven = record.growths.size;
      this.#grown.clear();
    }
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
