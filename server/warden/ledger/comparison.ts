// Owns: comparing the record in the database with what the witnesses have and with what this process has seen of it.
// Must never: accept a new era on the word of the database alone: two operators must have signed the release that began
// it, over the checkpoint that is given up.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { rootAt } from './heads.ts';
import { becameOf } from './releases.ts';
import type { Signing } from './seal.ts';
import type { Freeze, Look } from './seal-queries.ts';
import { openNote } from './signatures.ts';

/** A size and a root of the heads log that a witness, or this process, vouches for. */
export type Vouched = {
  /** The name of the witness. Absent: this warden itself. */
  readonly witness?: string;
  /** Who vouches, as text, for instance `the witness local` or `this warden`. */
  readonly by: string;
  readonly era: number;
  readonly size: number;
  /** The root of the heads log at `size`, in base64. */
  readonly root: string;
  readonly time: string;
};
/** `unnamed`: the checkpoints that were given up together with what a release named, though it did not name them. */
type Verdict =
  | { readonly is: 'good'; readonly unnamed: readonly Vouched[] }
  | { readonly is: 'behind' | 'diverged'; readonly text: string; readonly witnessed: Vouched };

const good: Verdict = { is: 'good', unnamed: [] };

async function compareOne(
  tx: Transaction,
  keys: KeyRing,
  look: Look,
  witnessed: Vouched,
  lastMs: number,
): Promise<Verdict> {
  const seen = `${witnessed.by} has a checkpoint of ${witnessed.size} heads, era ${witnessed.era}, of ${witnessed.time}`;
  const holds = `the database holds ${look.heads} heads, era ${look.era}`;
  if (witnessed.era < look.era) {
    const became = await becameOf(tx, keys, witnessed, look.heads, lastMs);
    if (became === 'less')
      return {
        is: 'behind',
        text: `${seen}; ${holds}: fewer than the record had when two operators released it`,
        witnessed,
      };
    if (became === 'nobody')
      return { is: 'diverged', text: `${seen}; ${holds}, and no two operators gave up what was witnessed`, witnessed };
    if (became === 'unnamed') return { is: 'good', unnamed: [witnessed] };
    if (became === 'given-up') return good;
  }
  if (witnessed.era > look.era || witnessed.size > look.heads)
    return { is: 'behind', text: `${seen}; ${holds}: it is older than what was witnessed`, witnessed };
  if ((await rootAt(tx, witnessed.size)) !== witnessed.root)
    return { is: 'diverged', text: `${seen}; ${holds}, and it is not the same record`, witnessed };
  return good;
}

/**
 * The checkpoint that stands in the database, when it is a genuine one of the present era: the newest head has it in
 * the moment after its commit, and a witness only when it was delivered. A warden that starts would otherwise believe
 * what was done to a head between the two. One that is not genuine, or of more heads than there are, is found by other
 * looks.
 */
export function signedIn({ checkpoint, era, heads }: Look, signing: Signing): readonly Vouched[] {
  const signed = openNote(signing, checkpoint);
  if (checkpoint === null || signed === undefined || signed.era !== era || signed.size > heads) return [];
  const { time } = signing.signer.open(checkpoint);
  return [{ ...signed, by: 'the gateway itself', time }];
}

const isLarger = (a: Vouched, b: Vouched): boolean => (a.era === b.era ? a.size > b.size : a.era > b.era);

/**
 * Compares the record with every vouched checkpoint. When several do not match, the verdict names the largest of them:
 * a release that names the largest gives up the smaller ones as well, so one release is enough. `lastMs`: see
 * `becameOf`.
 */
export async function compare(
  tx: Transaction,
  keys: KeyRing,
  look: Look,
  vouched: readonly Vouched[],
  lastMs: number,
): Promise<Verdict> {
  const unnamed: Vouched[] = [];
  const bad: Exclude<Verdict, { is: 'good' }>[] = [];
  for (const witnessed of vouched) {
    const verdict = await compareOne(tx, keys, look, witnessed, lastMs);
    if (verdict.is === 'good') unnamed.push(...verdict.unnamed);
    else bad.push(verdict);
  }
  const [first] = bad;
  if (first === undefined) return { is: 'good', unnamed };
  const said = bad.find((one) => one.is === 'diverged') ?? first;
  const witnessed = bad.reduce(
    (largest, one) => (isLarger(one.witnessed, largest) ? one.witnessed : largest),
    said.witnessed,
  );
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

/** A required witness that can be read, and what is known of it at a start. */
export type Required = {
  readonly name: string;
  readonly hasCheckpoint: boolean;
  /** Whether this warden remembers that it had one. Undefined: this warden remembers no witness at all. */
  readonly had: boolean | undefined;
};

/**
 * Throws `unavailable` when a required witness has no checkpoint and should have one. An empty witness proves nothing:
 * its mount may be missing, or it may be a different one, and a restored old database would be accepted as the newest.
 * No other witness makes up for it. Only the warden's own memory says that a witness is new; without that, none is when
 * heads were witnessed.
 */
export function requireMemory(required: readonly Required[], { witnessed }: Pick<Look, 'witnessed'>): void {
  const lost = required.find((one) => !one.hasCheckpoint && (one.had ?? witnessed > 0));
  if (lost === undefined) return;
  throw new CofferdamError(
    'unavailable',
    `the witness ${lost.name} has no checkpoint, though ${witnessed} heads of this record were witnessed: is its mount there? If it is lost: docs/operations/record.md, "A witness that is lost"`,
  );
}
