// Owns: the verification of what a client gave: signatures, passwords, codes and tickets. A `VerifiedProof` is made
// here only.
// Must never: say whose a proof is by any other means than the row against which it was verified.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Profile } from '../../domain/algorithms.ts';
import type { VerifiedProof } from '../../domain/login-machine.ts';
import { unrestricted } from '../../domain/restrictions.ts';
import { parseSshPublicKey, signatureAlgorithms } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Evidence } from '../../rpc/edge-warden.ts';
import type { Warden } from '../context/context.ts';
import { fingerprintOf, verifyUserSignature } from '../credentials/ssh-signature.ts';
import { countTicketFailure, findSeed, seedDigest } from '../factors/factor-queries.ts';
import { matchingSteps } from '../factors/totp.ts';
import { type CodeUse, type Counted, takeStep } from '../factors/used-codes.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { sealing } from '../seals/seals.ts';
import { type AccountFacts, findUsable } from './login-queries.ts';

type GivenKey = Extract<Evidence, { type: 'public-key' }>;

/**
 * Returns whether a signature by this key could be accepted, judged by form and algorithm only. Whose key it is, or
 * whether anybody has it, plays no part.
 */
export function isWorthSigning(given: { readonly algorithm: string; readonly key: string }, profile: Profile): boolean {
  try {
    const key = parseSshPublicKey(Buffer.from(given.key, 'base64'), profile.rsaBitsMin);
    return signatureAlgorithms(key).includes(given.algorithm) && profile.userSignatures.includes(given.algorithm);
  } catch {
    return false;
  }
}

/**
 * Verifies a signature over this session identifier and user name, by a key that somebody may use now. `evidence` is
 * null when it does not verify.
 */
export async function verifyKey(
  tx: Transaction,
  given: GivenKey,
  over: {
    readonly username: string;
    readonly sessionIdentifier: Uint8Array;
    readonly profile: Profile;
    readonly dormantMs: number;
  },
): Promise<{ readonly fingerprint: string; readonly evidence: VerifiedProof | null }> {
  const keyBlob = Buffer.from(given.key, 'base64');
  const fingerprint = fingerprintOf(keyBlob);
  const isValid = verifyUserSignature({
    username: over.username,
    algorithm: given.algorithm,
    keyBlob,
    signatureBlob: Buffer.from(given.signature, 'base64'),
    sessionIdentifier: over.sessionIdentifier,
    profile: over.profile,
  });
  // The look-up happens in any case, so that every key costs the same.
  const found = await findUsable(tx, fingerprint, over.dormantMs);
  if (!isValid || found === undefined) return { fingerprint, evidence: null };
  return {
    fingerprint,
    evidence: { proof: 'public-key', account: found.account, credential: found.id, restrictions: found.restrictions },
  };
}

/**
 * Returns the evidence of a password whose hash was verified (`isRight`); null when it was wrong or can no longer be
 * used. The credential is looked up again, because the hashing took time.
 */
export async function passwordProof(
  tx: Transaction,
  name: string,
  isRight: boolean,
  dormantMs: number,
): Promise<VerifiedProof | null> {
  const found = await findUsable(tx, name, dormantMs);
  if (!isRight || found === undefined) return null;
  return { proof: 'password', account: found.account, credential: found.id, restrictions: found.restrictions };
}

/**
 * Verifies a code of RFC 6238 within one time step. Each step counts once, on whichever node (T-12). `seed` is the
 * digest of the sealed seed against which it was verified. Returns `used` for a code that counted before, and undefined
 * for any other that is not accepted.
 */
export async function verifyCode(
  tx: Transaction,
  keys: KeyRing,
  use: CodeUse,
  code: string,
): Promise<
  { readonly evidence: VerifiedProof; readonly seed: string; readonly counted: Counted } | 'used' | undefined
> {
  const row = await findSeed(tx, use.account);
  if (row === undefined) return undefined;
  const seed = keys.openSecret('totp', use.account, row.sealed, row.sealedBy);
  const steps = matchingSteps(seed, code, Date.now() / 1000);
  for (const step of steps)
    if (await takeStep(tx, keys, use, step))
      return {
        evidence: { proof: 'totp', account: use.account, credential: null, restrictions: unrestricted },
        seed: seedDigest(row.sealed),
        counted: { account: use.account, step },
      };
  return steps.length === 0 ? undefined : 'used';
}

/**
 * Verifies a ticket; null when it does not match, which is counted. The ticket is used up only when the enrolment is
 * complete.
 */
export async function verifyTicket(
  tx: Transaction,
  warden: Pick<Warden, 'keys' | 'database'>,
  account: AccountFacts,
  answer: string,
): Promise<VerifiedProof | null> {
  if (account.ticket === null || account.hasSecondFactor) return null;
  const given = createHash('sha256').update(answer.trim()).digest();
  const { id, hash } = account.ticket;
  if (timingSafeEqual(given, hash))
    return { proof: 'ticket', account: account.id, credential: null, restrictions: unrestricted };
  await sealing(tx, warden, { maker: 'login', change: () => null }, () => countTicketFailure(tx, id));
  return null;
}
