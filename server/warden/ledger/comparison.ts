// Owns: comparing the record of the database with what was witnessed, and with what this process saw of it.
// Must never: take the database's own word for a new era: two operators have signed it, over what is given up.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { parseProposal } from '../../rpc/change-document.ts';
import { findApplied } from '../changes/change-queries.ts';
import { genuineAmong } from '../changes/genuine.ts';
import type { KeyRing } from '../context.ts';
import { rootAt } from './heads.ts';
import { type Freeze, findReleases, type Look } from './seal-queries.ts';
import type { Witness } from './witness/witness.ts';

/** A size of the heads log that somebody vouches for. */
export type Vouched = {
  /** `witness local`, or `this warden`. */
  readonly by: string;
  readonly era: number;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly time: string;
};
export type Verdict = { readonly is: 'good' } | { readonly is: 'behind' | 'diverged'; readonly text: string; readonly witnessed: Vouched };

/**
 * How far the era that followed goes back, by the word of two operators; undefined: nobody released it. A release that somebody else wrote into the
 * database does not count: then the next one does, in which two operators saw what it had made of the record.
 */
async function releaseAfter(
  tx: Transaction,
  keys: KeyRing,
  era: number,
): Promise<{ readonly witnessedSize: number; readonly heads: number } | undefined> {
  for (const id of await findReleases(tx, era)) {
    const [change] = await findApplied(tx, [id]);
    if (change === undefined || !(await genuineAmong(tx, keys, [change.id], [])).has(change.id)) continue;
    const { operation, params } = parseProposal(change.document);
    const { witnessedSize, heads, era: ended } = params;
    if (operation !== 'ledger.release' || typeof ended !== 'number' || ended < era) continue;
    if (typeof witnessedSize === 'number' && typeof heads === 'number') return { witnessedSize, heads };
  }
  return undefined;
}

async function compareOne(tx: Transaction, keys: KeyRing, look: Look, witnessed: Vouched): Promise<Verdict> {
  const seen = `${witnessed.by} has a checkpoint of ${witnessed.size} heads, era ${witnessed.era}, of ${witnessed.time}`;
  const holds = `the database holds ${look.heads} heads, era ${look.era}`;
  if (witnessed.era < look.era) {
    const release = await releaseAfter(tx, keys, witnessed.era);
    if (release === undefined || witnessed.size > release.witnessedSize)
      return { is: 'diverged', text: `${seen}; ${holds}, and no two operators gave up what was witnessed`, witnessed };
    if (witnessed.size > release.heads) return { is: 'good' };
  }
  if (witnessed.era > look.era || witnessed.size > look.heads)
    return { is: 'behind', text: `${seen}; ${holds}: it is older than what was witnessed`, witnessed };
  if ((await rootAt(tx, witnessed.size)) !== witnessed.root)
    return { is: 'diverged', text: `${seen}; ${holds}, and it is not the same record`, witnessed };
  return { is: 'good' };
}

export async function compare(tx: Transaction, keys: KeyRing, look: Look, vouched: readonly Vouched[]): Promise<Verdict> {
  for (const witnessed of vouched) {
    const verdict = await compareOne(tx, keys, look, witnessed);
    if (verdict.is !== 'good') return verdict;
  }
  return { is: 'good' };
}

export const freezeOf = (id: string, verdict: Exclude<Verdict, { is: 'good' }>, look: Look): Freeze => ({
  id,
  why: verdict.is,
  text: verdict.text,
  facts: {
    witnessedBy: verdict.witnessed.by,
    witnessedEra: verdict.witnessed.era,
    witnessedSize: verdict.witnessed.size,
    witnessedRoot: verdict.witnessed.root,
    witnessedAt: verdict.witnessed.time,
    heads: look.heads,
    entries: look.number,
    era: look.era,
    identity: look.identity,
  },
});

/** A witness that remembers nothing vouches for nothing: its mount is missing, or it is another one. A restored database would pass for the newest. */
export function requireMemory(witnesses: readonly Witness[], { witnessed }: Look, vouched: readonly Vouched[]): void {
  if (witnessed === 0 || vouched.length > 0 || !witnesses.some((one) => one.isRequired && one.newest !== null)) return;
  throw new CofferdamError(
    'unavailable',
    `no witness has a checkpoint, though ${witnessed} heads of this record were witnessed: is its mount there? If it is lost: OPERATIONS, "A witness that is lost"`,
  );
}
