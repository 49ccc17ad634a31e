// Owns: comparing the record in the database with what the witnesses have and with what this process has seen of it.
// Must never: accept a new era on the word of the database alone: two operators must have signed the release that began
// it, over the checkpoint that is given up.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../context.ts';
import { rootAt } from './heads.ts';
import { becameOf } from './releases.ts';
import type { Freeze, Look } from './seal-queries.ts';
import type { Witness } from './witness/witness.ts';

/** A size and a root of the heads log that a witness, or this process, vouches for. */
export type Vouched = {
  /** Who vouches, as text, for instance `the witness local` or `this warden`. */
  readonly by: string;
  readonly era: number;
  readonly size: number;
  /** The root of the heads log at `size`, in base64. */
  readonly root: string;
  readonly time: string;
};
export type Verdict = { readonly is: 'good' } | { readonly is: 'behind' | 'diverged'; readonly text: string; readonly witnessed: Vouched };

async function compareOne(tx: Transaction, keys: KeyRing, look: Look, witnessed: Vouched): Promise<Verdict> {
  const seen = `${witnessed.by} has a checkpoint of ${witnessed.size} heads, era ${witnessed.era}, of ${witnessed.time}`;
  const holds = `the database holds ${look.heads} heads, era ${look.era}`;
  if (witnessed.era < look.era) {
    const became = await becameOf(tx, keys, witnessed);
    if (became === 'nobody')
      return { is: 'diverged', text: `${seen}; ${holds}, and no two operators gave up what was witnessed`, witnessed };
    if (became === 'given-up') return { is: 'good' };
  }
  if (witnessed.era > look.era || witnessed.size > look.heads)
    return { is: 'behind', text: `${seen}; ${holds}: it is older than what was witnessed`, witnessed };
  if ((await rootAt(tx, witnessed.size)) !== witnessed.root)
    return { is: 'diverged', text: `${seen}; ${holds}, and it is not the same record`, witnessed };
  return { is: 'good' };
}

const isLarger = (a: Vouched, b: Vouched): boolean => (a.era === b.era ? a.size > b.size : a.era > b.era);

/**
 * Compares the record with every vouched checkpoint. When several do not match, the verdict names the largest of them:
 * a release that names the largest gives up the smaller ones as well, so one release is enough.
 */
export async function compare(tx: Transaction, keys: KeyRing, look: Look, vouched: readonly Vouched[]): Promise<Verdict> {
  const bad: Exclude<Verdict, { is: 'good' }>[] = [];
  for (const witnessed of vouched) {
    const verdict = await compareOne(tx, keys, look, witnessed);
    if (verdict.is !== 'good') bad.push(verdict);
  }
  const [first] = bad;
  if (first === undefined) return { is: 'good' };
  const said = bad.find((one) => one.is === 'diverged') ?? first;
  const witnessed = bad.reduce((largest, one) => (isLarger(one.witnessed, largest) ? one.witnessed : largest), said.witnessed);
  return { ...said, witnessed };
}

/** Returns the freeze that a bad verdict leads to. Its facts name the checkpoint that a release has to give up. */
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

/**
 * Throws `unavailable` when heads of this record were witnessed, a required witness that can be read exists, and no
 * witness has any checkpoint. An empty witness proves nothing: its mount may be missing, or it may be a different one,
 * and a restored old database would be accepted as the newest.
 */
export function requireMemory(witnesses: readonly Witness[], { witnessed }: Look, vouched: readonly Vouched[]): void {
  if (witnessed === 0 || vouched.length > 0 || !witnesses.some((one) => one.isRequired && one.newest !== null)) return;
  throw new CofferdamError(
    'unavailable',
    `no witness has a checkpoint, though ${witnessed} heads of this record were witnessed: is its mount there? If it is lost: OPERATIONS, "A witness that is lost"`,
  );
}
