// Owns: a customer's own request for a new key, which is signed over account, new key and expiry, both by the account's
// current key and by the new key (SSHSIG).
// Must never: believe the session instead of the signatures, since a person who holds the session, or the edge that
// carries it, cannot sign (T-24); or reveal whether a key belongs to somebody.
import { CofferdamError } from '../../domain/errors.ts';
import { keyRequestNamespace, parseSignedKeyRequest } from '../../domain/key-request.ts';
import type { Transaction } from '../../postgres/database.ts';
import { findUsable } from '../authentication/login-queries.ts';
import { type FoundCredential, findCredentialByFingerprint } from '../credentials/credential-queries.ts';
import { type Acting, addKey, endUnproved, type Holder, requireFit, tellContact } from '../credentials/credentials.ts';
import { isRequestSigned, requireInstallation } from '../credentials/key-proofs.ts';
import { fingerprintOf } from '../credentials/ssh-signature.ts';
import { installationId } from '../seals/seal-queries.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { findManaged } from './console-queries.ts';

const dayMs = 86_400_000;

type Requested = { readonly fingerprint: string; readonly account: string; readonly validFrom: Date };

type Proved = {
  /** The account that is to have the key. */
  readonly holder: Holder;
  readonly fingerprint: string;
  readonly publicKey: string;
  /** The current key that signed the request; null when its row is gone meanwhile. */
  readonly replaces: FoundCredential | null;
  readonly lifeDays: number;
};

/** Verifies a request for a new key. Throws `invalid` or `denied` with the reason. */
async function prove(
  { tx, warden }: Pick<Acting, 'tx' | 'warden'>,
  session: OpenSession,
  input: string,
): Promise<Proved> {
  const { request, text, signatures } = parseSignedKeyRequest(input, 2);
  requireInstallation(request, (await installationId(tx)).id);
  const byNew = signatures.find((one) => fingerprintOf(one.publicKey) === request.fingerprint);
  const byCurrent = signatures.find((one) => one !== byNew);
  const { account, customer } = { account: session.account, customer: session.account.customer };
  const own = request.account === account.name ? { id: account.id, name: account.name, kind: account.kind } : undefined;
  const managed =
    own ??
    (account.manages && customer !== null ? await findManaged(tx, customer, request.account, 'to-rely') : undefined);
  if (managed === undefined || (own === undefined && managed.kind !== 'machine'))
    throw new CofferdamError(
      'denied',
      'you may ask for keys of your own account and, when you manage them, of the machine accounts of your organisation',
    );
  const signer = byCurrent === undefined ? '' : fingerprintOf(byCurrent.publicKey);
  const { ages } = warden;
  const current = await findUsable(tx, signer, ages.dormantDays * ages.dayMs);
  const how = `(ssh-keygen -Y sign -n ${keyRequestNamespace})`;
  if (
    byCurrent === undefined ||
    !isRequestSigned(text, byCurrent) ||
    current === undefined ||
    current.account !== managed.id
  )
    throw new CofferdamError('denied', `neither signature is one by a current key of ${request.account} ${how}`);
  // A key is registered only if its holder proves to have it, because otherwise it might be the key of another bank.
  if (byNew === undefined || !isRequestSigned(text, byNew))
    throw new CofferdamError('denied', `neither signature is one by the new key itself ${how}`);
  const [type = '', blob = ''] = request.publicKey.split(' ');
  if (fingerprintOf(Buffer.from(blob, 'base64')) !== request.fingerprint)
    throw new CofferdamError('invalid', `the fingerprint is not that of the ${type} key below it`);
  // The key is valid through the day that the request names. Days are those of the calendar, also where the
  // configuration makes them shorter for a rehearsal.
  const lifeDays = Math.ceil((Date.parse(request.expires) + dayMs - Date.now()) / dayMs);
  if (lifeDays < 1) throw new CofferdamError('invalid', 'the new key would have expired already');
  const { fingerprint, publicKey } = request;
  const replaces = (await findCredentialByFingerprint(tx, signer, 'to-rely')) ?? null;
  const holder = { id: managed.id, name: managed.name, customer };
  // This is checked before another credential is ended for the new key.
  requireFit(warden, { publicKey, lifeDays, holder, replaces });
  return { holder, fingerprint, publicKey, replaces, lifeDays };
}

/**
 * Ends the same key at another customer, where it was registered without a proof; it must be ended before the key can
 * be registered here. No transaction of this customer may see whose it is, so it is ended in a transaction of its own,
 * after the one that verified the request and before the one that registers the key. Each of them gives back its place
 * before the next one takes one (T-35). If the request is refused in between, nothing was ended but what its two
 * signatures entitle it to end. `within` verifies the rows that were relied on before it returns.
 */
export async function endOthers(
  { by, warden }: Pick<Acting, 'by' | 'warden'>,
  within: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
  session: OpenSession,
  input: string,
): Promise<void> {
  const { holder, fingerprint } = await within((tx) => prove({ tx, warden }, session, input));
  await warden.database.withSystem((tx) =>
    endUnproved({ by, warden, tx, endSessions: async () => 0 }, holder, fingerprint),
  );
}

/**
 * Verifies the request and registers the key, which becomes valid after the configured delay. Throws `invalid` or
 * `denied` with the reason.
 */
export async function requestKey(acting: Acting, session: OpenSession, input: string): Promise<Requested> {
  const { tx, warden } = acting;
  const { account } = session;
  const { holder, publicKey, replaces, lifeDays } = await prove(acting, session, input);
  const added = await addKey(acting, {
    holder,
    isProved: true,
    refusal: 'this key cannot be added: generate another key',
    publicKey,
    lifeDays,
    waitsHours: warden.ages.newKeyDelayHours,
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
