// Owns: a customer's own request for a new key, signed over account, new key and expiry by the account's current key and by the new one (SSHSIG).
// Must never: take the session's word for it: whoever holds the session, and the edge that carries it, cannot sign (T-24). Nor say whether a key is somebody's.
import { CofferdamError } from '../../domain/errors.ts';
import { keyRequestNamespace, parseSignedKeyRequest } from '../../domain/key-request.ts';
import type { Transaction } from '../../postgres/database.ts';
import { findUsable } from '../authentication/login-queries.ts';
import { fingerprintOf } from '../authentication/ssh-signature.ts';
import { installationId } from '../changes/seal-queries.ts';
import type { OpenSession } from '../context.ts';
import { type FoundCredential, findCredentialByFingerprint } from '../credentials/credential-queries.ts';
import { type Acting, addKey, endUnproved, type Holder, requireFit, tellContact } from '../credentials/credentials.ts';
import { isRequestSigned, requireInstallation } from '../credentials/key-proofs.ts';
import { findManaged } from './console-queries.ts';

const dayMs = 86_400_000;

export type Requested = { readonly fingerprint: string; readonly account: string; readonly validFrom: Date };

type Proved = {
  /** In whose account the key is to stand. */
  readonly holder: Holder;
  readonly fingerprint: string;
  readonly publicKey: string;
  /** The current key that signed. */
  readonly replaces: FoundCredential | null;
  readonly lifeDays: number;
};

/** Throws `invalid` or `denied` with what is wrong. */
async function prove({ tx, warden }: Pick<Acting, 'tx' | 'warden'>, session: OpenSession, input: string): Promise<Proved> {
  const { request, text, signatures } = parseSignedKeyRequest(input, 2);
  requireInstallation(request, (await installationId(tx)).id);
  const byNew = signatures.find((one) => fingerprintOf(one.publicKey) === request.fingerprint);
  const byCurrent = signatures.find((one) => one !== byNew);
  const { account, customer } = { account: session.account, customer: session.account.customer };
  const own = request.account === account.name ? { id: account.id, name: account.name, kind: account.kind } : undefined;
  const managed = own ?? (account.manages && customer !== null ? await findManaged(tx, customer, request.account, 'to-rely') : undefined);
  if (managed === undefined || (own === undefined && managed.kind !== 'machine'))
    throw new CofferdamError(
      'denied',
      'you may ask for keys of your own account and, when you manage them, of the machine accounts of your house',
    );
  const signer = byCurrent === undefined ? '' : fingerprintOf(byCurrent.publicKey);
  const { credentials: ages } = warden.config;
  const current = await findUsable(tx, signer, ages.dormantDays * ages.dayMs);
  const how = `(ssh-keygen -Y sign -n ${keyRequestNamespace})`;
  if (byCurrent === undefined || !isRequestSigned(text, byCurrent) || current === undefined || current.account !== managed.id)
    throw new CofferdamError('denied', `neither signature is one by a current key of ${request.account} ${how}`);
  // Without a proof that its holder has it, a key is registered for nobody: it may be another bank's.
  if (byNew === undefined || !isRequestSigned(text, byNew))
    throw new CofferdamError('denied', `neither signature is one by the new key itself ${how}`);
  const [type = '', blob = ''] = request.publicKey.split(' ');
  if (fingerprintOf(Buffer.from(blob, 'base64')) !== request.fingerprint)
    throw new CofferdamError('invalid', `the fingerprint is not that of the ${type} key below it`);
  // The named day is the last one; a rehearsal's shorter days count the same.
  const lifeDays = Math.ceil((Date.parse(request.expires) + dayMs - Date.now()) / dayMs);
  if (lifeDays < 1) throw new CofferdamError('invalid', 'the new key would have expired already');
  const { fingerprint, publicKey } = request;
  const replaces = (await findCredentialByFingerprint(tx, signer, 'to-rely')) ?? null;
  const holder = { id: managed.id, name: managed.name, customer };
  // Before anything ends for it.
  requireFit(warden.config, { publicKey, lifeDays, holder, replaces });
  return { holder, fingerprint, publicKey, replaces, lifeDays };
}

/**
 * What must be over before the key can be registered: the same key in another house, without a proof. Whose it is may be seen by no transaction of this
 * customer, so it ends in one of its own, after the one that verified the request and before the one that registers: each gives its place back before
 * the next one takes one (T-35). A request that is refused in between has ended nothing but what its two signatures may end. `within` verifies what
 * was relied on before it returns.
 */
export async function endOthers(
  { by, warden }: Pick<Acting, 'by' | 'warden'>,
  within: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
  session: OpenSession,
  input: string,
): Promise<void> {
  const { holder, fingerprint } = await within((tx) => prove({ tx, warden }, session, input));
  await warden.database.withSystem((tx) => endUnproved({ by, warden, tx, endSessions: async () => 0 }, holder, fingerprint));
}

/** Verifies and registers; the key waits. Throws `invalid` or `denied` with what is wrong. */
export async function requestKey(acting: Acting, session: OpenSession, input: string): Promise<Requested> {
  const { tx, warden } = acting;
  const { account } = session;
  const { holder, publicKey, replaces, lifeDays } = await prove(acting, session, input);
  const added = await addKey(acting, {
    holder,
    isProved: true,
    refusal: 'this key cannot be added: make another one',
    publicKey,
    lifeDays,
    waitsHours: warden.config.credentials.newKeyDelayHours,
    replaces,
  });
  const from = added.validFrom.toISOString();
  await tellContact(tx, 'credential.requested', holder, {
    text: `${account.name} asked for a new key of ${holder.name}: ${added.fingerprint}, good from ${from}`,
    contactText: `A new key ${added.fingerprint} was asked for, for your account ${holder.name}, by ${account.name}. It is good from ${from}. If this was not you: ssh … keys revoke ${added.fingerprint}, and call us.`,
    next: `cofferctl key confirm ${added.fingerprint} --reason TEXT; or, when nobody asked for it: cofferctl credential revoke --credential ${added.fingerprint} --reason TEXT`,
    facts: { fingerprint: added.fingerprint, from },
  });
  return { fingerprint: added.fingerprint, account: holder.name, validFrom: added.validFrom };
}
