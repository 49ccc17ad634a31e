// Owns: comparing the record of the database with what was witnessed, and with what this process saw of it.
// Must never: take the database's own word for a new era: two operators have signed it, over what is given up.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../context.ts';
import { rootAt } from './heads.ts';
import { becameOf } from './releases.ts';
import type { Freeze, Look } from './seal-queries.ts';
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

/** Of all that does not fit the largest is named: a release that names it gives up what is smaller, too, so that one is enough. */
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
