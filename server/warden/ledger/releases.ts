// Owns: which witnessed checkpoints two operators gave up, according to the releases that they signed.
// Must never: count a release that two operators did not sign, or let a release give up more than it names.
import type { Transaction } from '../../postgres/database.ts';
import { parseProposal } from '../../rpc/change-document.ts';
import { findApplied } from '../changes/change-queries.ts';
import { genuineAmong } from '../changes/genuine.ts';
import type { KeyRing } from '../context.ts';
import type { Vouched } from './comparison.ts';
import { findReleases } from './seal-queries.ts';

type Release = {
  readonly why: unknown;
  /** The era that this release ended. */
  readonly era: number;
  readonly witnessedSize: number;
  readonly witnessedRoot: unknown;
  readonly heads: number;
};

/** Returns the genuine releases that ended this era or a later one, ordered by era. */
async function releasesAfter(tx: Transaction, keys: KeyRing, era: number): Promise<readonly Release[]> {
  const releases: Release[] = [];
  for (const id of await findReleases(tx, era)) {
    const [change] = await findApplied(tx, [id]);
    if (change === undefined || !(await genuineAmong(tx, keys, [change.id], [])).has(change.id)) continue;
    const { operation, params } = parseProposal(change.document);
    const { why, witnessedSize, witnessedRoot, heads, era: ended } = params;
    if (operation !== 'ledger.release' || typeof ended !== 'number' || ended < era) continue;
    if (typeof witnessedSize === 'number' && typeof heads === 'number')
      releases.push({ why, era: ended, witnessedSize, witnessedRoot, heads });
  }
  return releases;
}

/**
 * Returns whether this release gave up the checkpoint: it named this very checkpoint, or a checkpoint at least as large
 * of the same era, which it ended. The two operators saw then that the record differs from what was witnessed.
 */
const gaveUpHistory = (release: Release, { era, size, root }: Vouched): boolean =>
  release.why === 'diverged' &&
  ((release.witnessedSize === size && release.witnessedRoot === root) || (release.era === era && size <= release.witnessedSize));

/**
 * Returns what became of a checkpoint of an ended era. `given-up`: the record need not match it. `kept`: the record
 * must still match it. `nobody`: no two operators released it. A release that somebody else wrote into the database
 * does not count; then the next genuine one does, whose operators saw the record as that forgery had left it.
 */
export async function becameOf(tx: Transaction, keys: KeyRing, witnessed: Vouched): Promise<'given-up' | 'kept' | 'nobody'> {
  const releases = await releasesAfter(tx, keys, witnessed.era);
  if (releases.some((one) => gaveUpHistory(one, witnessed))) return 'given-up';
  const [first] = releases;
  // What the operators saw went up to the checkpoint that they named, or further: to the heads that the database held then.
  if (first === undefined || witnessed.size > Math.max(first.witnessedSize, first.heads)) return 'nobody';
  return witnessed.size > first.heads ? 'given-up' : 'kept';
}
