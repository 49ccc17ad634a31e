// Owns: one customer's slice: two checkpoints, the way from each to the customer's tree, and every entry between, none left out.
// Must never: say that something is proved which the slice only states, or pass over a field that it does not know.
import { isOwnTree, leafOfShown, parseShown, placeText } from './entry.js';
import { Findings, instantText } from './findings.js';
import { fromBase64, fromHex, isCount, isUuid, leafHash } from './hash.js';
import { parseHeadText } from './head.js';
import { exactly, messageOf } from './json.js';
import { mapDepth, mapLeafOf, mapRootBy } from './map.js';
import { Frontier, verifyAuditPath } from './merkle.js';
import { isLater, parseNote, verifyNote } from './note.js';

/**
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./findings.js').What} What
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./record.js').Verdict} Verdict
 * @typedef {import('./witness.js').Witness} Witness
 *
 * @typedef {{ readonly note: Note, readonly head: number, readonly size: number, readonly root: Buffer }} Anchor
 * @typedef {{ readonly size: number, readonly time: string, readonly era: number }} ShownCheckpoint
 *
 * @typedef {object} SliceReport
 * @property {Verdict} verdict
 * @property {boolean} ok
 * @property {string | null} tree The customer.
 * @property {'affected' | 'not-affected' | null} says
 * @property {string | null} subject
 * @property {number} entries That were read.
 * @property {number} selected
 * @property {{ readonly from: number, readonly to: number } | null} positions What the slice covers: from the first to the one before `to`.
 * @property {number} checkpoints Of the witness.
 * @property {ShownCheckpoint | null} oldest The checkpoint at which the slice begins; null: it begins with the first entry ever.
 * @property {ShownCheckpoint | null} newest
 * @property {boolean} isWitnessed Whether its checkpoints were looked for in a witness.
 * @property {number} found
 * @property {Finding | null} firstRow
 * @property {readonly Finding[]} findings
 */

const headerFields = /** @type {const} */ (['version', 'customer', 'says', 'subject', 'from', 'frontier', 'to', 'entries', 'selected']);
const hashesMax = 64;

/**
 * @param {unknown} value
 * @param {number} [count]
 * @returns {readonly Buffer[] | undefined}
 */
function hashes(value, count) {
  if (!Array.isArray(value) || value.length > hashesMax || (count !== undefined && value.length !== count)) return undefined;
  const list = value.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  return list.length === value.length ? list : undefined;
}

/** Feed the lines of a slice, the first one first, then finish. */
export class SliceVerification {
  findings;
  #keys;
  #witness;
  #hasBegun = false;
  /** @type {{ readonly customer: string, readonly says: 'affected' | 'not-affected', readonly subject: string, readonly entries: number, readonly selected: number, readonly from: Anchor | null, readonly to: Anchor } | undefined} */
  #slice;
  /** @type {Frontier | undefined} */
  #frontier;
  #entries = 0;
  #selected = 0;

  /** @param {readonly VerifierKey[]} keys @param {Witness | undefined} witness */
  constructor(keys, witness) {
    this.findings = witness?.findings ?? new Findings();
    this.#keys = keys;
    this.#witness = witness;
  }

  /** @param {unknown} value @param {string} where */
  line(value, where) {
    if (this.#hasBegun) this.#shown(value, where);
    else this.#begin(value, where);
    this.#hasBegun = true;
  }

  /** @returns {SliceReport} */
  finish() {
    if (!this.#hasBegun) this.#malformed('the slice is empty');
    this.#checkEnd();
    const { findings } = this;
    const slice = this.#slice;
    const isGood = findings.count === 0 && slice !== undefined;
    const shown = (/** @type {Anchor | null | undefined} */ anchor) =>
      anchor == null ? null : { size: anchor.note.size, time: instantText(anchor.note.time), era: anchor.note.era };
    return {
      verdict: isGood ? 'good' : 'bad',
      ok: isGood,
      tree: slice?.customer ?? null,
      says: slice?.says ?? null,
      subject: slice?.subject ?? null,
      entries: this.#entries,
      selected: this.#selected,
      positions: slice === undefined ? null : { from: slice.from?.size ?? 0, to: slice.to.size },
      checkpoints: this.#witness?.checkpoints ?? 0,
      oldest: shown(slice?.from),
      newest: shown(slice?.to),
      isWitnessed: this.#witness !== undefined,
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
    };
  }

  /** @param {string} text @returns {undefined} */
  #malformed(text) {
    this.findings.add({ what: 'slice malformed', text });
  }

  // ---- The first line

  /** @param {unknown} value @param {string} where */
  #begin(value, where) {
    const inner = exactly(value, ['slice'])?.slice;
    const header = exactly(inner, headerFields);
    if (header === undefined || header.version !== 2) {
      const isOld = typeof inner === 'object' && inner !== null && 'version' in inner && inner.version === 1;
      const why = isOld
        ? 'this slice is of version 1, which cannot be complete: ask for one of version 2'
        : 'the first line is not that of a slice of version 2';
      return this.#malformed(`${where}: ${why}`);
    }
    const { customer, says, subject, entries, selected } = header;
    const isSaid = says === 'affected' || says === 'not-affected';
    if (!isUuid(customer) || !isSaid || typeof subject !== 'string' || !isCount(entries) || !isCount(selected))
      return this.#malformed(`${where}: a field of the first line is not of its kind`);
    const from = header.from === null ? null : this.#anchor(header.from, customer, `${where}, from`);
    const to = this.#anchor(header.to, customer, `${where}, to`);
    const roots = hashes(header.frontier);
    if (roots === undefined) return this.#malformed(`${where}: the frontier is not a list of hashes`);
    if (from === undefined || to === undefined) return undefined;
    this.#checkSpan(from, to, where);
    this.#slice = { customer, says, subject, entries, selected, from, to };
    this.#frontier = Frontier.from(from?.size ?? 0, roots);
    if (this.#frontier === undefined || (from !== null && !this.#frontier.root().equals(from.root)))
      this.findings.say('slice incomplete', `${where}: the frontier is not that of the tree at the first checkpoint`);
    return undefined;
  }

  /**
   * A checkpoint and the way to the customer's tree; undefined when it cannot be read.
   * @param {unknown} value
   * @param {string} customer
   * @param {string} where
   * @returns {Anchor | undefined}
   */
  #anchor(value, customer, where) {
    const anchor = exactly(value, ['checkpoint', 'head', 'tree']);
    const head = exactly(anchor?.head, ['position', 'text', 'proof']);
    const tree = exactly(anchor?.tree, ['size', 'root', 'blind', 'slot', 'path']);
    const text = parseHeadText(head?.text);
    const [proof, path] = [hashes(head?.proof), hashes(tree?.path, mapDepth)];
    const [root, blind] = [fromBase64(tree?.root, 32), fromBase64(tree?.blind, 32)];
    const { size, slot } = tree ?? {};
    if (head === undefined || text === undefined || proof === undefined || head.position !== text.position)
      return this.#malformed(`${where}: this is not the way from a checkpoint to a head`);
    if (
      path === undefined ||
      root === undefined ||
      blind === undefined ||
      !isCount(size) ||
      size === 0 ||
      !isCount(slot) ||
      slot >= 2 ** mapDepth
    )
      return this.#malformed(`${where}: this is not the way from a head to a tree`);
    const note = this.#believe(anchor?.checkpoint, where);
    if (note === undefined) return undefined;
    if (!verifyAuditPath(leafHash(Buffer.from(String(head.text))), text.position, note.size, proof, note.root))
      this.findings.say(
        'head changed',
        `${where}: head ${text.position} does not lead to the root of the checkpoint of size ${note.size}`,
        {
          head: text.position,
        },
      );
    if (!mapRootBy(mapLeafOf(customer, size, root, blind), slot, path).equals(text.mapRoot))
      this.findings.say(
        'head changed',
        `${where}: head ${text.position} does not say that tree ${customer} had ${size} entries and this root`,
        {
          head: text.position,
        },
      );
    return { note, head: text.position, size, root };
  }

  /** @param {unknown} text @param {string} where */
  #believe(text, where) {
    /** @type {Note} */
    let note;
    try {
      if (typeof text !== 'string') throw new Error('the checkpoint is no text');
      note = parseNote(text);
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return undefined;
    }
    const why = verifyNote(note, this.#keys);
    if (why !== undefined) this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
    const witness = this.#witness;
    const standing = witness?.has(note) ?? 'yes';
    const said = `${where}: the checkpoint of size ${note.size}, era ${note.era}, ${instantText(note.time)},`;
    const isNewer = witness?.newest === undefined || isLater(note, witness.newest);
    if (standing === 'no')
      this.findings.say(
        'not in this witness',
        `${said} is not in this witness${isNewer ? ': it is newer than all there; bring a newer copy' : ''}`,
      );
    if (standing === 'abandoned') this.findings.say('not in this witness', `${said} was abandoned: the record went on from before it`);
    return note;
  }

  /** @param {Anchor | null} from @param {Anchor} to @param {string} where */
  #checkSpan(from, to, where) {
    if (from === null) return;
    if (isLater(from.note, to.note) || from.head > to.head || from.size > to.size)
      this.findings.say('slice malformed', `${where}: the slice begins behind its end`);
    if (from.note.era === to.note.era && from.note.size === to.note.size && !from.note.root.equals(to.note.root))
      this.findings.say('two truths', `${where}: its two checkpoints are of one era and size, and differ`, {
        from: to.note.size,
        to: to.note.size,
      });
  }

  // ---- Entries

  /** @param {unknown} value @param {string} where */
  #shown(value, where) {
    this.#entries += 1;
    const slice = this.#slice;
    if (slice === undefined) return;
    const line = exactly(value, ['shown', 'salt', 'sensitive', 'selected']);
    const row = parseShown(line?.shown);
    const [salt, sensitive] = [fromHex(line?.salt, 16), fromHex(line?.sensitive, 32)];
    if (row === undefined || salt === undefined || sensitive === undefined || typeof line?.selected !== 'boolean')
      return this.#bad('malformed', line?.shown, where, 'this is not an entry of a slice');
    if (line.selected) this.#selected += 1;
    const expected = this.#frontier?.size ?? 0;
    const position = Number(row[1]);
    if (row[0] !== slice.customer || !isOwnTree(slice.customer, row[5]))
      return this.#bad('inserted', row, where, `it is not of customer ${slice.customer}`);
    if (position >= slice.to.size) return this.#bad('inserted', row, where, `the slice ends before position ${slice.to.size}`);
    if (position !== expected) {
      const what = position > expected ? 'missing' : 'out of order';
      return this.#bad(
        what,
        row,
        where,
        position > expected ? `position ${expected} should be here: it was left out` : `it stands behind position ${expected - 1}`,
      );
    }
    this.#frontier?.append(leafOfShown(row, salt, sensitive));
    return undefined;
  }

  #checkEnd() {
    const [slice, frontier] = [this.#slice, this.#frontier];
    if (slice === undefined) return;
    const { customer, from, to, entries, selected, says } = slice;
    const count = to.size - (from?.size ?? 0);
    if (entries !== count || this.#entries !== count)
      this.findings.say('slice incomplete', `the slice has to hold ${count} entries; it says ${entries} and holds ${this.#entries}`);
    if (selected !== this.#selected)
      this.findings.say('slice malformed', `the slice says that ${selected} entries are selected, and ${this.#selected} are marked so`);
    if ((says === 'affected') !== this.#selected > 0)
      this.findings.say('slice malformed', `the slice says ${says}, and ${this.#selected} of its entries are marked as selected`);
    // With a gap or a foreign row nothing is left to be compared; it was said already.
    if (frontier === undefined || frontier.size !== to.size || frontier.root().equals(to.root)) return;
    const text = `tree ${customer}: what is shown of positions ${from?.size ?? 0} to ${to.size - 1} is not what was sealed: an entry was changed, or exchanged`;
    this.findings.say('changed', text, { tree: customer, from: from?.size ?? 0, to: to.size - 1 });
  }

  /** @param {What} what @param {unknown} row @param {string} where @param {string} why @returns {undefined} */
  #bad(what, row, where, why) {
    const [tree, position] = Array.isArray(row) ? row : [];
    if (isUuid(tree) && isCount(position))
      this.findings.add({ what, text: `${placeText(tree, position)}: ${why} (${where})`, tree, position });
    else this.findings.add({ what, text: `${where}: ${why}` });
  }
}
