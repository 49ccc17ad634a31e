// Owns: what two operators gave up, according to the releases that they signed: which witnessed checkpoints, which
// freeze that a warden found, and whether anything at all (decisions 36, 42 and 47).
// Must never: count a release that two operators did not sign, or let a release give up more than it names.
import type { Transaction } from '../../postgres/database.ts';
import { parseProposal } from '../../rpc/change-document.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { genuineAmong } from '../seals/genuine.ts';
import { findApplied } from '../seals/signature-queries.ts';
import type { Vouched } from './comparison.ts';
import { type Freeze, findReleases } from './seal-queries.ts';

/** What a release says, signed by two operators. The names are those of the facts of a freeze. */
export type Names = {
  readonly freeze: unknown;
  readonly why: unknown;
  /** The checkpoint that was vouched for when the record was frozen. */
  readonly witnessedEra: unknown;
  readonly witnessedSize: number;
  readonly witnessedRoot: unknown;
  readonly witnessedAt: unknown;
  /** The size to which the record goes back. */
  readonly heads: number;
  /** The era that this release ended. */
  readonly era: number;
};

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** Returns what a release of this freeze says; undefined when no release can name it. */
export function namesOf({ id, why, facts }: Freeze): Names | undefined {
  const { witnessedEra, witnessedSize, witnessedRoot, witnessedAt, heads, era } = facts;
  if (!isNumber(witnessedSize) || !isNumber(heads) || !isNumber(era)) return undefined;
  return { freeze: id, why, witnessedEra, witnessedSize, witnessedRoot, witnessedAt, heads, era };
}

/** Returns the genuine releases that ended this era or a later one, ordered by era. */
async function releasesAfter(tx: Transaction, keys: KeyRing, era: number): Promise<readonly Names[]> {
  const releases: Names[] = [];
  for (const id of await findReleases(tx, era)) {
    const [change] = await findApplied(tx, [id]);
    if (change === undefined || !(await genuineAmong(tx, keys, [change.id], [])).has(change.id)) continue;
    const { operation, params } = parseProposal(change.document);
    const { freeze, why, witnessedEra, witnessedSize, witnessedRoot, witnessedAt, heads, era: ended } = params;
    if (operation !== 'ledger.release' || !isNumber(ended) || ended < era) continue;
    if (isNumber(witnessedSize) && isNumber(heads))
      releases.push({ freeze, why, witnessedEra, witnessedSize, witnessedRoot, witnessedAt, heads, era: ended });
  }
  // By what was signed: the order of the rows is the database's word.
  return releases.sort((a, b) => a.era - b.era);
}

/**
 * Returns whether this release gave up the checkpoint: it named this one, or one of the same era that is at least as
 * large. The two operators saw then that the record differs from what was witnessed. What it says of one era counts for
 * no other.
 */
const gaveUpHistory = (release: Names, { era, size }: Vouched): boolean =>
  release.why === 'diverged' && release.witnessedEra === era && size <= release.witnessedSize;

/**
 * Returns whether this checkpoint, larger than the one that the release named, is of the last moment before the loss:
 * of the same era, and signed before a gateway whose witness did not have it would have stopped. Only a release that
 * gives up something gives up such a moment: one of a clock does not.
 */
const isOfLastMoment = ({ why, witnessedEra, witnessedAt }: Names, { era, time }: Vouched, lastMs: number): boolean =>
  why !== 'clock' && witnessedEra === era && Date.parse(time) <= Date.parse(String(witnessedAt)) + lastMs;

/**
 * Returns whether this release gave up the checkpoint as one that is larger than the record which its operators saw.
 * What it says of one era counts for no other.
 */
const gaveUpBeyond = ({ why, witnessedEra, witnessedSize, heads }: Names, { era, size }: Vouched): boolean =>
  why !== 'clock' && witnessedEra === era && size > heads && size <= witnessedSize;

/**
 * `unnamed`: given up as well, though no release named it: its operators did not know of it, so somebody has to be
 * told. `less`: the record has fewer heads than the last release let go on: it lost more than the operators of that
 * release saw.
 */
type Became = 'given-up' | 'unnamed' | 'kept' | 'nobody' | 'less';

/**
 * Returns what became of a checkpoint of an ended era, when the record has this many heads now. `given-up`: the record
 * need not match it. `kept`: the record must still match it. `nobody`: no two operators released it. A release that
 * somebody else wrote into the database does not count; then the next genuine one does, whose operators saw the record
 * as that forgery had left it.
 * `lastMs`: for how long a gateway serves what no witness has.
 */
export const becameOf = async (
  tx: Transaction,
  keys: KeyRing,
  witnessed: Vouched,
  heads: number,
  lastMs: number,
): Promise<Became> => becameBy(await releasesAfter(tx, keys, witnessed.era), witnessed, heads, lastMs);

/** The same, given the genuine releases that ended its era or a later one, ordered by era. */
export function becameBy(releases: readonly Names[], witnessed: Vouched, heads: number, lastMs: number): Became {
  const [first, last] = [releases[0], releases.at(-1)];
  if (first === undefined || last === undefined) return 'nobody';
  // Nothing is taken out of the record after a release. Whoever owns the database writes the row of a freeze, and may
  // have it name a smaller loss.
  if (heads < last.heads) return 'less';
  if (releases.some((one) => gaveUpHistory(one, witnessed) || gaveUpBeyond(one, witnessed))) return 'given-up';
  if (witnessed.size <= first.heads) return 'kept';
  // A release for a clock gives up nothing of what was witnessed, whatever it names.
  if (first.why !== 'clock' && witnessed.size <= first.witnessedSize) return 'given-up';
  return isOfLastMoment(first, witnessed, lastMs) ? 'unnamed' : 'nobody';
}

/**
 * Returns whether a release with these names ends the freeze that a warden found. The reason is the same. What the next
 * look finds again by itself needs no more: the record is compared after each release. A record that was touched is
 * given up only under the names by which the warden found it, and entries that it missed only by the release of that
 * very freeze, because nothing shows them again.
 */
export function ends(release: Names | undefined, found: Freeze): boolean {
  const { why, facts } = found;
  if (release === undefined || release.why !== why || release.era < Number(facts.era)) return false;
  if (why !== 'diverged') return true;
  const isSame = release.witnessedSize === facts.witnessedSize && release.witnessedRoot === facts.witnessedRoot;
  return isSame && release.heads === facts.heads && (release.freeze === found.id || !('missed' in facts));
}

/** Returns whether two operators released the freeze that this warden found. */
export const isReleased = async (tx: Transaction, keys: KeyRing, found: Freeze): Promise<boolean> =>
  (await releasesAfter(tx, keys, Number(found.facts.era))).some((one) => ends(one, found));

/** Returns whether a release that ended this era or a later one gave up anything; one for a clock does not. */
export const gaveUpSince = async (tx: Transaction, keys: KeyRing, era: number): Promise<boolean> =>
  (await releasesAfter(tx, keys, era)).some((one) => one.why !== 'clock');
