// Owns: the checkpoints of one or several witnesses: which is the newest, which were abandoned with their era, and
// where a witness contradicts itself.
// Must never: choose by the name of a file, or by the order of lines alone.
import { Findings, instantText } from './findings.js';
import { messageOf } from './json.js';
import { Lately } from './lately.js';
import { isLater, parseNote, verifyNote } from './note.js';
import { Rows, setUint, uint } from './rows.js';

/**
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./witness-files.js').Place} Place
 * @typedef {{ readonly size: number, readonly root: Buffer, readonly era: number, readonly time: number }} Mark
 * @typedef {Omit<Mark, 'root'>} Step What the next line of a file is compared with.
 *
 * What an era held beyond the size at which the next one went on.
 * @typedef {object} Loss
 * @property {number} era
 * @property {number} nextEra
 * @property {number} fromSize
 * @property {number} toSize
 * @property {number} kept When a checkpoint of this era that was kept was signed last; the same as `since` when none was.
 * @property {number} since
 * @property {number} until
 */

/** Bytes of a row: size (6), time in milliseconds (6), root (32). */
const markWidth = 44;

/**
 * The checkpoints of one or several witnesses. Add them in the order of each file, then close. It keeps 44 bytes for
 * each checkpoint read, consecutive repeats excepted, and 4 for its order.
 */
export class Witness {
  findings = new Findings();
  /** @type {Loss[]} */
  losses = [];
  /** Believed notes, including repeated ones. */
  checkpoints = 0;
  /** Different sizes of abandoned checkpoints, per era, added up. */
  abandoned = 0;
  /**
   * What was read, for the report.
   * @type {string[]}
   */
  read = [];
  /**
   * How far each directory was read.
   * @type {Place[]}
   */
  places = [];
  /**
   * Why a run that reads only new lines is not enough; undefined when the files of the witnesses show no reason.
   * @type {string | undefined}
   */
  whyFullRun;
  /** @type {{ readonly note: Note, readonly text: string } | undefined} */
  #last;
  /** @type {Mark | undefined} */
  #newest;
  #keys;
  /** What was believed lately: somebody may repeat one text without end. */
  #lately = new Lately();
  /** @type {Map<number, Rows>} */
  #eras = new Map();
  /** @type {Map<number, Uint32Array>} */
  #orders = new Map();
  /**
   * By era: the size above which its checkpoints were abandoned.
   * @type {Map<number, number>}
   */
  #limits = new Map();

  /** @param {readonly VerifierKey[]} keys */
  constructor(keys) {
    this.#keys = keys;
  }

  /** The largest checkpoint of the last era, with the time at which it was signed last. Undefined before `close`. */
  get newest() {
    return this.#newest;
  }

  /**
   * Adds a note of a witness. `before` is what stood before it in the same file; the answer is what to pass with the
   * next one.
   * @param {unknown} text
   * @param {string} where
   * @param {Step | undefined} before
   * @param {(text: string, note: Note) => void} [onBelieved]
   * @returns {Step | undefined}
   */
  add(text, where, before, onBelieved) {
    if (typeof text !== 'string') {
      this.findings.say('note malformed', `${where}: this is not a JSON string`);
      return before;
    }
    /** @type {Note} */
    let note;
    try {
      note = parseNote(text);
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return before;
    }
    const wasSeen = this.#lately.has(text);
    const why = wasSeen ? undefined : verifyNote(note, this.#keys);
    if (why !== undefined) {
      this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
      return before;
    }
    this.checkpoints += 1;
    onBelieved?.(text, note);
    if (!wasSeen) {
      this.#lately.add(text);
      this.#keep(note);
      this.#keepIfLatest(note, text);
    }
    if (before === undefined || !isLater(before, note)) return note;
    // Two wardens may hand over at the same moment: one that was signed earlier comes late, which is no step back.
    if (note.time < before.time) return before;
    if (note.era < before.era)
      this.findings.say('era', `${where}: era ${note.era} comes after era ${before.era}`, {
        from: before.era,
        to: note.era,
      });
    else
      this.findings.say(
        'shrunk',
        `${where}: inside era ${note.era} the size went from ${before.size} back to ${note.size}`,
        {
          from: before.size,
          to: note.size,
        },
      );
    return note;
  }

  /**
   * Adds a checkpoint that an earlier run believed: the notes that are added are compared with it.
   * @param {Note} note @param {string} text
   */
  remember(note, text) {
    this.#keep(note);
    this.#keepIfLatest(note, text);
  }

  /** The text of the latest note that was added, by era and size. */
  get newestNote() {
    return this.#last?.text;
  }

  /** Returns the eras of which there is a checkpoint. */
  eras() {
    return [...this.#eras.keys()];
  }

  /** @param {Note} note @param {string} text */
  #keepIfLatest(note, text) {
    if (this.#last === undefined || !isLater(this.#last.note, note)) this.#last = { note, text };
  }

  /** @param {Note} note */
  #keep(note) {
    const rows = this.#eras.get(note.era) ?? new Rows(markWidth);
    this.#eras.set(note.era, rows);
    const last = rows.length === 0 ? undefined : rows.at(rows.length - 1);
    if (last !== undefined && uint(last, 0) === note.size && last.subarray(12).equals(note.root)) {
      // The same checkpoint, signed again: only its time is new.
      setUint(last, 6, Math.max(uint(last, 6), note.time));
      return;
    }
    const row = rows.add();
    setUint(row, 0, note.size);
    setUint(row, 6, note.time);
    row.set(note.root, 12);
  }

  /**
   * Ends the adding: sorts the checkpoints of each era, finds those that were abandoned and those that contradict each
   * other, and finds the newest. `newest`, `losses`, `abandoned`, `accepted` and `has` are empty before.
   */
  close() {
    const eras = [...this.#eras.keys()].sort((a, b) => b - a);
    let limit = Number.POSITIVE_INFINITY;
    let next = 0;
    for (const era of eras) {
      const order = this.#sort(era);
      this.#limits.set(era, limit);
      this.#compare(era);
      this.#loss(era, next, limit);
      const first = order[0] === undefined ? undefined : this.#mark(era, order[0]);
      if (first !== undefined && first.size <= limit) [limit, next] = [first.size, era];
    }
    const [era] = eras;
    if (era === undefined) return;
    for (const index of this.#orders.get(era) ?? []) {
      const mark = this.#mark(era, index);
      const newest = this.#newest;
      const isNewer =
        newest === undefined || mark.size > newest.size || (mark.size === newest.size && mark.time > newest.time);
      if (isNewer) this.#newest = mark;
    }
  }

  /**
   * Goes through the checkpoints that the database must have, by era and size, without abandoned ones. Call `close`
   * first.
   * @returns {Generator<Mark, void>}
   */
  *accepted() {
    for (const era of [...this.#eras.keys()].sort((a, b) => a - b))
      for (const index of this.#orders.get(era) ?? []) {
        const mark = this.#mark(era, index);
        if (mark.size <= (this.#limits.get(era) ?? 0)) yield mark;
      }
  }

  /**
   * Returns whether this very checkpoint was witnessed, and whether it was abandoned. Call `close` first.
   * @param {Note} note
   * @returns {'yes' | 'no' | 'abandoned'}
   */
  has(note) {
    for (const index of this.#orders.get(note.era) ?? []) {
      const mark = this.#mark(note.era, index);
      if (mark.size === note.size && mark.root.equals(note.root))
        return note.size <= (this.#limits.get(note.era) ?? 0) ? 'yes' : 'abandoned';
    }
    return 'no';
  }

  /**
   * @param {number} era
   * @param {number} index
   * @returns {Mark}
   */
  #mark(era, index) {
    const row = this.#eras.get(era)?.at(index);
    if (row === undefined) throw new RangeError('no such era');
    return { size: uint(row, 0), time: uint(row, 6), root: row.subarray(12), era };
  }

  /**
   * Sorts the checkpoints of an era by size: several witnesses have the same ones, each in its own order.
   * @param {number} era
   */
  #sort(era) {
    const order = Uint32Array.from({ length: this.#eras.get(era)?.length ?? 0 }, (_, index) => index);
    let isSorted = true;
    for (let i = 1; i < order.length && isSorted; i += 1)
      isSorted = this.#mark(era, i - 1).size <= this.#mark(era, i).size;
    if (!isSorted) order.sort((a, b) => this.#mark(era, a).size - this.#mark(era, b).size || a - b);
    this.#orders.set(era, order);
    return order;
  }

  /**
   * Finds the sizes of an era that have two different roots.
   * @param {number} era
   */
  #compare(era) {
    /** @type {Mark | undefined} */
    let before;
    for (const index of this.#orders.get(era) ?? []) {
      const mark = this.#mark(era, index);
      if (before?.size === mark.size && !before.root.equals(mark.root))
        this.findings.say(
          'two truths',
          `era ${era} has two different checkpoints of size ${mark.size}, both rightly signed: ${instantText(before.time)} and ${instantText(mark.time)}`,
          { from: mark.size, to: mark.size },
        );
      before = mark;
    }
  }

  /**
   * @param {number} era
   * @param {number} nextEra
   * @param {number} limit
   */
  #loss(era, nextEra, limit) {
    let [toSize, since, until] = [0, Number.POSITIVE_INFINITY, 0];
    /** @type {Mark | undefined} */
    let kept;
    const sizes = new Set();
    const order = this.#orders.get(era) ?? new Uint32Array();
    for (let i = order.length - 1; i >= 0; i -= 1) {
      const mark = this.#mark(era, order[i] ?? 0);
      if (mark.size <= limit) {
        if (kept !== undefined && kept.size > mark.size) break;
        if (kept === undefined || mark.time > kept.time) kept = mark;
        continue;
      }
      sizes.add(mark.size);
      [toSize, since, until] = [Math.max(toSize, mark.size), Math.min(since, mark.time), Math.max(until, mark.time)];
    }
    if (sizes.size === 0) return;
    this.abandoned += sizes.size;
    this.losses.push({ era, nextEra, fromSize: limit, toSize, kept: kept?.time ?? since, since, until });
  }
}
