// Owns: what operators are shown of rows about the record that anybody who owns the database may have written: what is
// of a wrong form is shown as that.
// Must never: let one row keep an operator from the others, or show what was planted before what this gateway signs
// with.
import { z } from 'zod';
import { parseVerifierKey } from '../../../verifier/index.js';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

type Freeze = NonNullable<Result<OperatorToAdmin, 'ledger.status'>['freeze']>;
export type FreezeRow = {
  readonly id: string;
  readonly at: Date | null;
  readonly why: string;
  readonly text: string;
  readonly facts: unknown;
};

const facts = z.object({
  witnessedEra: z.number(),
  witnessedSize: z.number(),
  witnessedRoot: z.string(),
  witnessedAt: z.string(),
  heads: z.number(),
  era: z.number(),
});
const nothing = { witnessedEra: 0, witnessedSize: 0, witnessedRoot: '', witnessedAt: '', heads: 0, era: 0 };
const reasons = z.enum(['behind', 'diverged', 'clock']);

/**
 * The freeze as operators see it. One that no warden can have written says so; its facts are then empty, and a release
 * of it names nothing.
 */
export function shownFreeze({ id, at, why, text, facts: given }: FreezeRow): Freeze {
  const known = facts.safeParse(given);
  const reason = reasons.safeParse(why);
  const isGood = known.success && reason.success && at !== null && Number.isFinite(at.getTime());
  return {
    freeze: id,
    at: at !== null && Number.isFinite(at.getTime()) ? at.toISOString() : new Date(0).toISOString(),
    why: reason.success ? reason.data : 'diverged',
    text: isGood
      ? text
      : `${text} (no warden wrote this row, whose facts are of a wrong form: somebody changed the database)`,
    ...(known.success ? known.data : nothing),
  };
}

const keysMax = 20;
/** The key ids of the signatures below a note: the first four bytes of each. */
export const signersOf = (note: string | null): readonly string[] =>
  [...(note ?? '').matchAll(/^\u2014 \S+ ([A-Za-z0-9+/]+={0,2})$/gm)].map(([, signature = '']) =>
    Buffer.from(signature, 'base64').toString('hex', 0, 4),
  );

/** Returns the name of a verifier key without an end, or undefined for any other text. */
function nameOf(text: string): string | undefined {
  try {
    const { name, end } = parseVerifierKey(text);
    return end === undefined ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns at most twenty of `keys` (the newest first) that are verifier keys of one installation: of the one that the
 * newest checkpoint names, or of the newest key when there is no checkpoint. Those that signed the newest checkpoint
 * come before all others.
 */
export function shownKeys(keys: readonly string[], checkpoint: string | null): string[] {
  const signers = signersOf(checkpoint);
  const signs = (key: string): boolean => signers.includes(key.split('+')[1] ?? '');
  const whole = keys.filter((key) => nameOf(key) !== undefined);
  const ours = checkpoint === null ? nameOf(whole[0] ?? '') : checkpoint.split('\n')[0];
  const good = whole.filter((key) => nameOf(key) === ours);
  return [...good.filter(signs), ...good.filter((key) => !signs(key))].slice(0, keysMax);
}
