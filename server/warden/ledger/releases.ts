// Owns: what two operators gave up of what was witnessed, by the releases that they signed.
// Must never: count a release that somebody else wrote, or let one give up more than it names.
import type { Transaction } from '../../postgres/database.ts';
import { parseProposal } from '../../rpc/change-document.ts';
import { findApplied } from '../changes/change-queries.ts';
import { genuineAmong } from '../changes/genuine.ts';
import type { KeyRing } from '../context.ts';
import type { Vouched } from './comparison.ts';
import { findReleases } from './seal-queries.ts';

type Release = {
  readonly why: unknown;
  /** The era that it ended. */
  readonly era: number;
  readonly witnessedSize: number;
  readonly witnessedRoot: unknown;
  readonly heads: number;
};

/** Genuine ones by which this era, or a later one, ended; the first era first. */
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

/** It named this very checkpoint, or a larger one of the era that ended: the two saw that the record is another one than what was witnessed there. */
const gaveUpHistory = (release: Release, { era, size, root }: Vouched): boolean =>
  release.why === 'diverged' &&
  ((release.witnessedSize === size && release.witnessedRoot === root) || (release.era === era && size <= release.witnessedSize));

/**
 * What became of a checkpoint of an era that is over. `given-up`: nothing is held against it. `kept`: the record must still be what it says. `nobody`: two
 * operators never spoke of it. A release that somebody else wrote into the database does not count: then the next one does, in which two operators saw what
 * it had made of the record.
 */
export async function becameOf(tx: Transaction, keys: KeyRing, witnessed: Vouched): Promise<'given-up' | 'kept' | 'nobody'> {
  const releases = await releasesAfter(tx, keys, witnessed.era);
  if (releases.some((one) => gaveUpHistory(one, witnessed))) return 'given-up';
  const [first] = releases;
  if (first === undefined || witnessed.size > first.witnessedSize) return 'nobody';
  return witnessed.size > first.heads ? 'given-up' : 'kept';
}
