// Owns: a customer's own request for a new key, signed by the account's current key over account, new key and expiry (SSHSIG).
// Must never: take the session's word for it: whoever holds the session, and the edge that carries it, cannot sign (T-24).
import { createHash } from 'node:crypto';
import { profiles } from '../../domain/algorithms.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { keyRequestNamespace, parseSignedKeyRequest, signedKeyRequest } from '../../domain/key-request.ts';
import { findUsable } from '../authentication/login-queries.ts';
import { fingerprintOf, verifySshSignature } from '../authentication/ssh-signature.ts';
import type { OpenSession } from '../context.ts';
import { findCredentialByFingerprint } from '../credentials/credential-queries.ts';
import { type Acting, addKey, tellContact } from '../credentials/credentials.ts';
import { findManaged } from './console-queries.ts';

const dayMs = 86_400_000;

export type Requested = { readonly fingerprint: string; readonly account: string; readonly validFrom: Date };

/** Verifies and registers; the key waits. Throws `invalid` or `denied` with what is wrong. */
export async function requestKey(acting: Acting, session: OpenSession, input: string): Promise<Requested> {
  const { tx, warden } = acting;
  const { request, text, signature } = parseSignedKeyRequest(input);
  const { account, customer } = { account: session.account, customer: session.account.customer };
  const own = request.account === account.name ? { id: account.id, name: account.name, kind: account.kind } : undefined;
  const managed = own ?? (account.manages && customer !== null ? await findManaged(tx, customer, request.account) : undefined);
  if (managed === undefined || (own === undefined && managed.kind !== 'machine'))
    throw new CofferdamError(
      'denied',
      'you may ask for keys of your own account and, when you manage them, of the machine accounts of your house',
    );
  const signer = fingerprintOf(signature.publicKey);
  const { credentials: ages } = warden.config;
  const current = await findUsable(tx, signer, ages.dormantDays * ages.dayMs);
  const digest = createHash(signature.hash).update(text).digest();
  const isGood =
    signature.namespace === keyRequestNamespace &&
    verifySshSignature(
      signature.publicKey,
      signature.signature,
      signedKeyRequest(signature.namespace, signature.hash, digest),
      profiles.default.userSignatures,
      profiles.default.rsaBitsMin,
    );
  if (!isGood || current === undefined || current.account !== managed.id)
    throw new CofferdamError(
      'denied',
      `the signature is not one by a current key of ${request.account} (ssh-keygen -Y sign -n ${keyRequestNamespace})`,
    );
  const [type = '', blob = ''] = request.publicKey.split(' ');
  if (fingerprintOf(Buffer.from(blob, 'base64')) !== request.fingerprint)
    throw new CofferdamError('invalid', `the fingerprint is not that of the ${type} key below it`);
  // The named day is the last one; a rehearsal's shorter days count the same.
  const lifeDays = Math.ceil((Date.parse(request.expires) + dayMs - Date.now()) / dayMs);
  if (lifeDays < 1) throw new CofferdamError('invalid', 'the new key would have expired already');
  const added = await addKey(acting, {
    holder: { id: managed.id, name: managed.name, customer },
    publicKey: request.publicKey,
    lifeDays,
    waitsHours: ages.newKeyDelayHours,
    replaces: (await findCredentialByFingerprint(tx, signer)) ?? null,
  });
  const from = added.validFrom.toISOString();
  await tellContact(
    tx,
    'credential.requested',
    { id: managed.id, name: managed.name, customer },
    {
      text: `${account.name} asked for a new key of ${managed.name}: ${added.fingerprint}, good from ${from}`,
      contactText: `A new key ${added.fingerprint} was asked for, for your account ${managed.name}, by ${account.name}. It is good from ${from}. If this was not you: ssh … keys revoke ${added.fingerprint}, and call us.`,
      next: `cofferctl key confirm ${added.fingerprint} --reason TEXT (or credential revoke)`,
      facts: { fingerprint: added.fingerprint, from },
    },
  );
  return { fingerprint: added.fingerprint, account: managed.name, validFrom: added.validFrom };
}
