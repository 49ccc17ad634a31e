// Owns: one customer's slice: two heads of the record, the path from a checkpoint by each to the customer's tree, and
// every entry sealed between them, with none left out.
// Must never: say that something is proved which the slice only states; mention a checkpoint's time, which proves
// nothing about when a head was sealed; or skip a field that it does not know.
import { isOwnTree, leafOfShown, parseShown, placeText } from './entry.js';
import { Findings, instantText, microsText, shownText } from './findings.js';
import { fromBase64, fromHex, isCount, isUuid, leafHash } from './hash.js';
import { parseHeadText } from './head.js';
import { exactly, messageOf } from './json.js';
import { isLostIn } from './losses.js';
import { mapDepth, mapLeafOf, mapRootBy } from './map.js';
import { Frontier, verifyAuditPath } from './merkle.js';
import { isLater, parseNote, verifyNote } from './note.js';

/**
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./findings.js').What} What
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./record.js').Verdict} Verdict
 * @typedef {import('./witness.js').Loss} Loss
 * @typedef {import('./witness.js').Witness} Witness
 *
 * The head `head`, which was sealed at `at` by its own signed word, and the tree that it commits to.
 * @typedef {{ readonly note: Note, readonly head: number, readonly at: number, readonly size: number, readonly root: Buffer }} Anchor
 *
 * A head as a report shows it: its position, when it was sealed, and the era of the checkpoint that proves it.
 * @typedef {{ readonly position: number, readonly at: string, readonly era: number }} ShownHead
 *
 * What an abandoned era lost, and whether entries of the window of the slice may be among it.
 * @typedef {Loss & { readonly isInWindow: boolean }} SliceLoss
 *
 * A window that somebody demands, in microseconds since 1970; what is undefined is not demanded.
 * @typedef {{ readonly since?: number | undefined, readonly until?: number | undefined }} Demand
 *
 * @typedef {object} SliceReport
 * @property {Verdict} verdict
 * @property {boolean} ok
 * @property {string | null} tree The customer.
 * @property {'affected' | 'not-affected' | null} says Nobody vouches for it.
 * @property {string | null} subject Nobody vouches for it. It is escaped and bounded (`shownText`).
 * @property {string | null} begin When the window begins for which the slice was made; null: with the first entry ever.
 * @property {string | null} end When that window ends.
 * @property {number} entries That were read.
 * @property {number} selected
 * @property {{ readonly from: number, readonly to: number } | null} positions What the slice covers: from the first to the one before `to`.
 * @property {number} checkpoints Of the witness.
 * @property {ShownHead | null} from The head behind which the slice begins; null: it begins with the first entry ever.
 * @property {ShownHead | null} to The head with which it ends.
 * @property {boolean} isWitnessed Whether its checkpoints were looked for in a witness.
 * @property {readonly SliceLoss[]} lost What earlier eras lost, as the witness shows it. A slice that lost something of its window is not complete.
 * @property {number} found
 * @property {Finding | null} firstRow
 * @property {readonly Finding[]} findings
 */

const headerFields = /** @type {const} */ ([
  'version',
  'customer',
  'begin',
  'end',
  'says',
  'subject',
  'from',
  'frontier',
  'to',
  'entries',
  'selected',
]);
const hashesMax = 64;
const version = 3;

/**
 * @param {unknown} value
 * @param {number} [count]
 * @returns {readonly Buffer[] | undefined}
 */
function hashes(value, count) {
  if (!Array.isArray(value) || value.length > hashesMax || (count !== undefined && value.length !== count))
    return undefined;
  const list = value.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  return list.length === value.length ? list : undefined;
}

/** Feed the lines of a slice, the first one first, then finish. */
export class SliceVerification {
  findings;
  #keys;
  #witness;
  #hasBegun = false;
  #demand;
  /** @type {{ readonly customer: string, readonly begin: number | null, readonly end: number, readonly says: 'affected' | 'not-affected', readonly subject: string, readonly entries: number, readonly selected: number, readonly from: Anchor | null, readonly to: Anchor } | undefined} */
  #slice;
  /** @type {Frontier | undefined} */
  #frontier;
  #entries = 0;
  #selected = 0;

  /** @param {readonly VerifierKey[]} keys @param {Witness | undefined} witness @param {Demand} [demand] */
  constructor(keys, witness, demand = {}) {
    this.findings = witness?.findings ?? new Findings();
    this.#keys = keys;
    this.#witness = witness;
    this.#demand = demand;
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
    const lost = this.#lost();
    const isBad = findings.count > 0 || slice === undefined;
    const verdict = isBad ? 'bad' : lost.some(({ isInWindow }) => isInWindow) ? 'incomplete' : 'good';
    const shown = (/** @type {Anchor | null | undefined} */ anchor) =>
      anchor == null ? null : { position: anchor.head, at: microsText(anchor.at), era: anchor.note.era };
    return {
      verdict,
      ok: verdict === 'good',
      tree: slice?.customer ?? null,
      says: slice?.says ?? null,
      subject: slice === undefined ? null : shownText(slice.subject),
      begin: slice?.begin == null ? null : microsText(slice.begin),
      end: slice === undefined ? null : microsText(slice.end),
      entries: this.#entries,
      selected: this.#selected,
      positions: slice === undefined ? null : { from: slice.from?.size ?? 0, to: slice.to.size },
      checkpoints: this.#witness?.checkpoints ?? 0,
      from: shown(slice?.from),
      to: shown(slice?.to),
      isWitnessed: this.#witness !== undefined,
      lost,
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
    };
  }

  /** @returns {readonly SliceLoss[]} */
  #lost() {
    const slice = this.#slice;
    if (slice === undefined) return [];
    const { begin, end, to } = slice;
    return (this.#witness?.losses ?? [])
      .toReversed()
      .map((loss) => ({ ...loss, isInWindow: isLostIn(loss, { position: to.head, begin, end }) }));
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
    if (header === undefined || header.version !== version) {
      const old = typeof inner === 'object' && inner !== null && 'version' in inner ? inner.version : undefined;
      const why =
        old === 1 || old === 2
          ? `this slice is of version ${old}, which does not prove which time it covers: ask for one of version ${version}`
          : `the first line is not that of a slice of version ${version}`;
      return this.#malformed(`${where}: ${why}`);
    }
    const { customer, begin, end, says, subject, entries, selected } = header;
    const isSaid = says === 'affected' || says === 'not-affected';
    const isWindow = (begin === null || isCount(begin)) && isCount(end);
    if (
      !isUuid(customer) ||
      !isWindow ||
      !isSaid ||
      typeof subject !== 'string' ||
      !isCount(entries) ||
      !isCount(selected)
    )
      return this.#malformed(`${where}: a field of the first line is not of its kind`);
    const from = header.from === null ? null : this.#anchor(header.from, customer, `${where}, from`);
    const to = this.#anchor(header.to, customer, `${where}, to`);
    const roots = hashes(header.frontier);
    if (roots === undefined) return this.#malformed(`${where}: the frontier is not a list of hashes`);
    if (from === undefined || to === undefined) return undefined;
    this.#checkSpan(from, to, where);
    this.#checkWindow(begin, end, from, to, where);
    this.#slice = { customer, begin, end, says, subject, entries, selected, from, to };
    this.#frontier = Frontier.from(from?.size ?? 0, roots);
    if (this.#frontier === undefined || (from !== null && !this.#frontier.root().equals(from.root)))
      this.findings.say('slice incomplete', `${where}: the frontier is not that of the tree at the first head`);
    return undefined;
  }

  /**
   * Returns a checkpoint and the path to the customer's tree; undefined when it cannot be read.
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
    return { note, head: text.position, at: text.at, size, root };
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
    if (why !== undefined)
      this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
    const witness = this.#witness;
    const standing = witness?.has(note) ?? 'yes';
    const said = `${where}: the checkpoint of size ${note.size}, era ${note.era}, ${instantText(note.time)},`;
    const isNewer = witness?.newest === undefined || isLater(note, witness.newest);
    if (standing === 'no')
      this.findings.say(
        'not in this witness',
        `${said} is not in this witness${isNewer ? ': it is newer than all there; bring a newer copy' : ''}`,
      );
    if (standing === 'abandoned')
      this.findings.say('not in this witness', `${said} was abandoned: the record went on from before it`);
    return note;
  }

  /** @param {Anchor | null} from @param {Anchor} to @param {string} where */
  #checkSpan(from, to, where) {
    if (from === null) return;
    if (isLater(from.note, to.note) || from.head > to.head || from.at > to.at || from.size > to.size)
      this.findings.say('slice malformed', `${where}: the slice begins behind its end`);
    if (from.note.era === to.note.era && from.note.size === to.note.size && !from.note.root.equals(to.note.root))
      this.findings.say('two truths', `${where}: its two checkpoints are of one era and size, and differ`, {
        from: to.note.size,
        to: to.note.size,
      });
  }

  /**
   * The two heads must enclose the window for which the slice was made, and that window must enclose whatever was
   * demanded.
   * @param {number | null} begin
   * @param {number} end
   * @param {Anchor | null} from
   * @param {Anchor} to
   * @param {string} where
   */
  #checkWindow(begin, end, from, to, where) {
    const say = (/** @type {string} */ text) => this.findings.say('slice incomplete', `${where}: ${text}`);
    const window = `its window is ${begin === null ? 'everything' : `from ${microsText(begin)}`} up to ${microsText(end)}`;
    if (begin !== null && begin > end) say(`${window}, which ends before it begins`);
    if (from !== null && (begin === null || from.at > begin))
      say(
        `${window}, and it begins with what was sealed behind head ${from.head} of ${microsText(from.at)}: what came before is not in it`,
      );
    if (to.at < end)
      say(`${window}, and it ends with head ${to.head} of ${microsText(to.at)}: what came behind it is not in it`);
    const { since, until } = this.#demand;
    if (since !== undefined && begin !== null && begin > since)
      say(`${window}, and it has to begin at ${microsText(since)} or before`);
    if (until !== undefined && end < until) say(`${window}, and it has to reach to ${microsText(until)}`);
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
    // What is marked as belonging to the window cannot have happened outside it.
    if (line.selected && (Number(row[2]) < (slice.begin ?? 0) || Number(row[2]) >= slice.end))
      return this.#bad(
        'slice malformed',
        row,
        where,
        'it is marked as selected, and its time is not in the window of the slice',
      );
    const expected = this.#frontier?.size ?? 0;
    const position = Number(row[1]);
    if (row[0] !== slice.customer || !isOwnTree(slice.customer, row[5]))
      return this.#bad('inserted', row, where, `it is not of customer ${slice.customer}`);
    if (position >= slice.to.size)
      return this.#bad('inserted', row, where, `the slice ends before position ${slice.to.size}`);
    if (position !== expected) {
      const what = position > expected ? 'missing' : 'out of order';
      return this.#bad(
        what,
        row,
        where,
        position > expected
          ? `position ${expected} should be here: it was left out`
          : `it stands behind position ${expected - 1}`,
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
      this.findings.say(
        'slice incomplete',
        `the slice has to hold ${count} entries; it says ${entries} and holds ${this.#entries}`,
      );
    if (selected !== this.#selected)
      this.findings.say(
        'slice malformed',
        `the slice says that ${selected} entries are selected, and ${this.#selected} are marked so`,
      );
    if ((says === 'affected') !== this.#selected > 0)
      this.findings.say(
        'slice malformed',
        `the slice says ${says}, and ${this.#selected} of its entries are marked as selected`,
      );
    // With a gap or a foreign row nothing is left to be compared; that was reported already.
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
