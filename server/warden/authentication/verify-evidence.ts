// Owns: verifying what a client gave: signatures, passwords, codes, tickets. The only maker of evidence.
// Must never: say whose a proof is by any other means than the row that it verified against.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Profile } from '../../domain/algorithms.ts';
import type { Evidence } from '../../domain/login-machine.ts';
import { unrestricted } from '../../domain/restrictions.ts';
import { parseSshPublicKey, signatureAlgorithms } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Evidence as Given } from '../../rpc/edge-warden.ts';
import type { KeyRing } from '../context.ts';
import { type AccountFacts, countTicketFailure, findSeed, findUsable, useStep } from './login-queries.ts';
import { fingerprintOf, verifyUserSignature } from './ssh-signature.ts';
import { matchingSteps } from './totp.ts';

type GivenKey = Extract<Given, { type: 'public-key' }>;

/** Form and algorithm only: whose key it is, or whether it is anybody's, plays no part. */
export function isWorthSigning(given: { readonly algorithm: string; readonly key: string }, profile: Profile): boolean {
  try {
    const key = parseSshPublicKey(Buffer.from(given.key, 'base64'), profile.rsaBitsMin);
    return signatureAlgorithms(key).includes(given.algorithm) && profile.userSignatures.includes(given.algorithm);
  } catch {
    return false;
  }
}

/** A signature over this session identifier and user name, by a key that somebody may use now. */
export async function verifyKey(
  tx: Transaction,
  given: GivenKey,
  over: { readonly username: string; readonly sessionIdentifier: Uint8Array; readonly profile: Profile; readonly dormantMs: number },
): Promise<{ readonly fingerprint: string; readonly evidence: Evidence | null }> {
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
  // Looked for in any case: the same work for every key.
  const found = await findUsable(tx, fingerprint, over.dormantMs);
  if (!isValid || found === undefined) return { fingerprint, evidence: null };
  return {
    fingerprint,
    evidence: { proof: 'public-key', account: found.account, credential: found.id, restrictions: found.restrictions },
  };
}

/** The password credential, once its hash was verified; looked up again, since that takes its time. */
export async function passwordEvidence(tx: Transaction, name: string, isRight: boolean, dormantMs: number): Promise<Evidence | null> {
  const found = await findUsable(tx, name, dormantMs);
  if (!isRight || found === undefined) return null;
  return { proof: 'password', account: found.account, credential: found.id, restrictions: found.restrictions };
}

/** A code of RFC 6238, within one step; each step counts once, on whichever node (T-12). */
export async function verifyCode(tx: Transaction, keys: KeyRing, account: AccountFacts, code: string): Promise<Evidence | null> {
  const row = await findSeed(tx, account.id);
  if (row === undefined) return null;
  const seed = keys.openSecret('totp', account.id, row.sealed, row.sealedBy);
  for (const step of matchingSteps(seed, code, Date.now() / 1000))
    if (await useStep(tx, account.id, step)) return { proof: 'totp', account: account.id, credential: null, restrictions: unrestricted };
  return null;
}

/** It is used up when the enrolment is complete. */
export async function verifyTicket(tx: Transaction, account: AccountFacts, answer: string): Promise<Evidence | null> {
  if (account.ticket === null || account.hasSecondFactor) return null;
  const given = createHash('sha256').update(answer.trim()).digest();
  if (timingSafeEqual(given, account.ticket.hash))
    return { proof: 'ticket', account: account.id, credential: null, restrictions: unrestricted };
  await countTicketFailure(tx, account.ticket.id);
  return null;
}
