// Owns: what operators sign: the proposal of a change and its approval, as canonical JSON, and the signatures over
// them.
// Must never: let one signature stand for anything else. Each text
// therefore names its type, the installation, and the key that signs.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson, parseCanonicalJson } from '../domain/canonical-json.ts';
import { CofferdamError } from '../domain/errors.ts';
import { isValidAccountName } from '../domain/paths.ts';

const operatorName = z.string().max(64).refine(isValidAccountName);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const proposal = z.strictObject({
  type: z.literal('cofferdam change/1'),
  installation: z.uuid(),
  change: z.uuid(),
  operation: z.string().min(1).max(64),
  params: z.record(z.string(), z.unknown()),
  /** The reason for the change, for the operator who approves it and for the record. */
  reason: z.string().max(200),
  proposer: operatorName,
  /** The SHA-256 of the proposer's public key (SPKI, DER), in hexadecimal. */
  key: sha256,
  proposedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  /** The prepared emergency (break-glass) under which the change is applied without an approval. */
  breakGlass: z.uuid().optional(),
});
export type Proposal = z.infer<typeof proposal>;

const approval = z.strictObject({
  type: z.literal('cofferdam approval/1'),
  installation: z.uuid(),
  change: z.uuid(),
  /** The SHA-256 of the proposal's text, in hexadecimal. */
  hash: sha256,
  approver: operatorName,
  key: sha256,
  approvedAt: z.iso.datetime(),
});
export type Approval = z.infer<typeof approval>;

function parsed<T>(text: string, shape: z.ZodType<T>, what: string): T {
  const result = shape.safeParse(parseCanonicalJson(text));
  if (!result.success) throw new CofferdamError('invalid', `${what} has the wrong form`);
  return result.data;
}
export const parseProposal = (text: string): Proposal => parsed(text, proposal, 'the proposal');
export const parseApproval = (text: string): Approval => parsed(text, approval, 'the approval');

/** Returns the SHA-256 of a document's text, in hexadecimal. An approval names a change by it. */
export const documentHash = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
/** Returns the SHA-256 of a public key (SPKI, DER), in hexadecimal. It identifies an operator's key. */
export const publicKeyFingerprint = (spki: Buffer): string => createHash('sha256').update(spki).digest('hex');

/** Returns the bytes that are signed. They begin with a fixed line, so that no signature of another protocol fits. */
const signedBytes = (text: string): Buffer => Buffer.from(`cofferdam signed document/1\n${text}`, 'utf8');

/**
 * Parses an operator's public key. Accepts ECDSA on P-256 or P-384, and Ed25519.
 * Throws `invalid` for any other key, and for one whose encoding is not canonical DER.
 */
export function parseOperatorKey(spki: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CofferdamError('invalid', 'this is not a public key', { cause });
  }
  const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
  const isGood =
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'ec' && ['prime256v1', 'secp384r1'].includes(curve));
  if (!isGood) throw new CofferdamError('invalid', 'an operator signs with ECDSA on P-256 or P-384, or with Ed25519');
  if (!key.export({ type: 'spki', format: 'der' }).equals(spki))
    throw new CofferdamError('invalid', 'the public key is not encoded as canonical DER');
  return key;
}

const hashFor = (key: KeyObject): string | null =>
  key.asymmetricKeyType === 'ed25519'
    ? null
    : key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
      ? 'sha384'
      : 'sha256';

/** A document and its signature (base64), ready to send. */
export type Signed = { readonly document: string; readonly signature: string };

/** Writes a document as canonical JSON, and signs it with an operator's private key. */
export function signDocument(content: Proposal | Approval, privateKey: KeyObject): Signed {
  const document = canonicalJson(content);
  return { document, signature: sign(hashFor(privateKey), signedBytes(document), privateKey).toString('base64') };
}

/**
 * Returns whether `signature` is one by the key `spki` over exactly this text. It is raw bytes: DER
 * for ECDSA, 64 bytes for Ed25519. Throws `invalid` when `spki` is not an operator's public key.
 */
export function isSignedBy(document: string, signature: Buffer, spki: Buffer): boolean {
  const key = parseOperatorKey(spki);
  try {
    return verify(hashFor(key), signedBytes(document), key, signature);
  } catch {
    return false;
  }
}
