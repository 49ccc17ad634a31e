// Owns: what happens to credentials, whoever asked for it (an operator's command, a customer's console, the clock):
// effect, budgets and entries.
// Must never: make a revoked credential valid again, or register a key again that an account holds or has proved to
// have.
import { randomUUID } from 'node:crypto';
import { hourMs } from '../../config/credential-ages.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import { parsePublicKeyLine, rsaBitsMin } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { AlertKind } from '../alerts/alert-kinds.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Warden } from '../context/context.ts';
import { record } from '../ledger/entries/record.ts';
import { declareRelied, type Purpose } from '../seals/declared.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import {
  copyBudgets,
  type FoundCredential,
  findCredentialByFingerprint,
  findCredentials,
  findUnproved,
  insertCredential,
  isUnproved,
  retireCredential,
  revokeCredential,
  setSuccessor,
} from './credential-queries.ts';
import { findUnreplaced, insertItem, insertRotation, markRetired, openItem, stage } from './rotation-queries.ts';
import { fingerprintOf } from './ssh-signature.ts';

/** A transaction, and in whose name something is done in it. */
export type Acting = {
  readonly tx: Transaction;
  readonly warden: Warden;
  /** The name in rows and entries: of an operator, as `alice`; `account acme`; or `the clock`. */
  readonly by: string;
  readonly endSessions: (filter: SessionFilter, reason: string) => Promise<number>;
};

export type Holder = { readonly id: AccountId; readonly name: string; readonly customer: CustomerId | null };

/**
 * Finds a credential for an operator. Credentials of self-tests are not found, because their nodes create and end them.
 * Throws `not-found`.
 */
export async function requireCredential(
  tx: Transaction,
  fingerprint: string,
  purpose: Purpose,
): Promise<FoundCredential> {
  const found = await findCredentialByFingerprint(tx, fingerprint, purpose);
  if (found === undefined || found.isSelfTest)
    throw new CofferdamError('not-found', 'no account has a credential of this name: see `cofferctl credential list`');
  return found;
}

export async function recordCredential(
  tx: Transaction,
  kind: EntryKind,
  of: {
    readonly id: CredentialId;
    readonly account: AccountId;
    readonly customer: CustomerId | null;
    readonly fingerprint: string;
  },
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  await record(tx, {
    kind,
    customer: of.customer,
    account: of.account,
    observer: 'warden',
    credential: of.fingerprint,
    sensitive: { ...facts, credential: of.id },
  });
}

/** Returns the fingerprint of a public key in OpenSSH's one-line form. Throws `invalid` for anything else. */
export const fingerprintOfLine = (line: string): string =>
  fingerprintOf(parsePublicKeyLine(line, rsaBitsMin.legacy).blob);

export type KeyWish = {
  readonly holder: Holder;
  readonly publicKey: string;
  /** Whether its holder signed the request with the key itself. */
  readonly isProved: boolean;
  /** The refusal when the key is or was registered. Undefined for operators, who are told just that. */
  readonly refusal?: string;
  readonly lifeDays?: number | undefined;
  readonly readOnly?: boolean | undefined;
  readonly networks?: readonly string[] | undefined;
  /** How many hours pass before the key can be used. */
  readonly waitsHours?: number;
  /**
   * The key that is replaced. When null, the account's oldest key in a running rotation that has no successor yet is
   * replaced, if there is one.
   */
  readonly replaces: FoundCredential | null;
  /** Limits that search to this rotation. */
  readonly rotation?: string;
  /**
   * How many days both keys are good, from now on. Undefined for the configured number, which begins with the first use
   * of the new key.
   */
  readonly overlapDays?: number | undefined;
};
export type Added = {
  readonly fingerprint: string;
  readonly validFrom: Date;
  readonly expiresAt: Date;
  readonly retiresAt: Date | null;
};

/** Checks a wish by itself, before anything is done for it. Throws `invalid` or `conflict`. */
export function requireFit(
  { ages, edges }: Pick<Warden, 'ages' | 'edges'>,
  { publicKey, lifeDays: wanted, holder, replaces }: Pick<KeyWish, 'publicKey' | 'lifeDays' | 'holder' | 'replaces'>,
): { readonly blob: Uint8Array; readonly type: string; readonly lifeDays: number } {
  const hasLegacy = edges.some((edge) => edge.profile === 'legacy');
  const { blob, key } = parsePublicKeyLine(publicKey, hasLegacy ? rsaBitsMin.legacy : rsaBitsMin.standard);
  const lifeDays = wanted ?? ages.lifeDays;
  if (lifeDays > ages.lifeMaxDays) throw new CofferdamError('invalid', `a key lives at most ${ages.lifeMaxDays} days`);
  if (replaces !== null && replaces.account !== holder.id)
    throw new CofferdamError('conflict', 'a key replaces a key of the same account only');
  if (replaces !== null && replaces.state !== 'active' && replaces.state !== 'retiring')
    throw new CofferdamError('conflict', `the key to be replaced is ${replaces.state}`);
  return { blob, type: key.type, lifeDays };
}

/** Registers a key with its budgets. When there is a key to replace, the new one is staged as its successor. */
export async function addKey(acting: Acting, wish: KeyWish): Promise<Added> {
  const { tx, warden, by } = acting;
  const { ages, budgets } = warden;
  const { holder, replaces } = wish;
  const { blob, type, lifeDays } = requireFit(warden, wish);
  const spot = await findUnreplaced(tx, holder.id, { rotation: wish.rotation, credential: replaces?.id });
  const [found] = spot === undefined ? [] : await findCredentials(tx, [spot.credential]);
  const old = replaces ?? found ?? null;
  // The new key relies on these rows: the account that is to have it, and the key from which it is made.
  await declareRelied(tx, { kind: 'account', id: holder.id }, { name: holder.name, customer_id: holder.customer });
  if (old !== null)
    await declareRelied(
      tx,
      { kind: 'credential', id: old.id },
      { account_id: holder.id, fingerprint: old.fingerprint },
    );
  const fingerprint = fingerprintOf(blob);
  const id = idOf<CredentialId>(randomUUID());
  const times = await insertCredential(tx, {
    id,
    account: holder.id,
    secret: { type: 'public-key', algorithm: type, blob: Buffer.from(blob) },
    fingerprint,
    issuedBy: by,
    livesMs: lifeDays * ages.dayMs,
    waitsMs: (wish.waitsHours ?? 0) * hourMs(ages),
    // A restriction that the wish does not mention is taken over from the old key.
    readOnly: wish.readOnly ?? old?.readOnly ?? false,
    networks: wish.networks ?? old?.networks ?? [],
    isProved: wish.isProved,
  });
  if (times === undefined)
    throw new CofferdamError(
      'conflict',
      wish.refusal ?? `the key ${fingerprint} is or was registered; a key belongs to one account, once`,
    );
  await createBudgets(tx, { kind: 'credential', credential: id, customer: holder.customer }, budgets);
  await recordCredential(
    tx,
    'credential.added',
    { id, account: holder.id, customer: holder.customer, fingerprint },
    {
      by,
      isProved: wish.isProved,
      validFrom: times.validFrom.toISOString(),
      expiresAt: times.expiresAt.toISOString(),
      replaces: old?.fingerprint ?? null,
    },
  );
  const retiresAt = await replace(acting, wish, spot, id);
  return { fingerprint, ...times, retiresAt };
}

type Spot = { readonly rotation: string; readonly credential: CredentialId };

async function replace(
  { tx, warden, by }: Acting,
  wish: KeyWish,
  spot: Spot | undefined,
  successor: CredentialId,
): Promise<Date | null> {
  const { holder, replaces } = wish;
  const { dayMs, overlapDays: usual } = warden.ages;
  let item = spot;
  let retiresAt: Date | null = null;
  if (replaces !== null && item === undefined) {
    const rotation = randomUUID();
    retiresAt = await insertRotation(tx, {
      id: rotation,
      selection: replaces.fingerprint,
      reason: `replaced by a new key of ${holder.name}`,
      by,
      overlapMs: (wish.overlapDays ?? usual) * dayMs,
      hasDeadline: wish.overlapDays !== undefined,
    });
    if (!(await insertItem(tx, rotation, replaces.id)))
      throw new CofferdamError('conflict', 'this key is being replaced already');
    await openItem(tx, rotation, replaces.id);
    item = { rotation, credential: replaces.id };
    if (retiresAt !== null) await retireCredential(tx, replaces.id, (wish.overlapDays ?? 0) * dayMs);
  }
  if (item === undefined) return null;
  await stage(tx, item.rotation, item.credential, successor);
  await setSuccessor(tx, item.credential, successor);
  await copyBudgets(tx, item.credential, successor);
  return retiresAt;
}

/**
 * Revokes one credential for good and ends its sessions. Returns the number of sessions, or false when it was revoked
 * before.
 */
export async function revoke(
  acting: Acting,
  found: FoundCredential,
  why: string,
  isRetirement = false,
): Promise<number | false> {
  const { tx, by } = acting;
  await lockForWithdrawal(tx, { credential: found.id });
  if (!(await revokeCredential(tx, found.id, by, why))) return false;
  await markRetired(tx, found.id);
  await recordCredential(tx, isRetirement ? 'credential.retired' : 'credential.revoked', found, { by, why });
  return acting.endSessions(
    { credential: found.id },
    isRetirement ? 'the credential has retired' : 'the credential was revoked',
  );
}

/**
 * Revokes this key of another account that has it without a proof, because the holder has proved to have it: nobody can
 * keep a key from its owner by having it registered. Such a key was never used (the table makes a first use a proof),
 * so it has no sessions. The other account is not told whose key it is.
 */
export async function endUnproved(acting: Acting, holder: Holder, fingerprint: string): Promise<void> {
  const { tx } = acting;
  const id = await findUnproved(tx, fingerprint, holder.id);
  if (id === undefined) return;
  await lockForWithdrawal(tx, { credential: id });
  const [found] = (await isUnproved(tx, id)) ? await findCredentials(tx, [id]) : [];
  if (found === undefined || (await revoke(acting, found, 'another account proved to have this key')) === false) return;
  await insertAlert(tx, {
    kind: 'credential.proved-elsewhere',
    severity: 'warning',
    subject: found.id,
    customer: found.customer,
    account: found.account,
    text: `${fingerprint} was registered for ${found.accountName} without a proof; ${holder.name} proved to have it, so it was revoked for ${found.accountName}`,
    facts: { account: found.accountName, fingerprint, holder: holder.name },
    nextCommand: `cofferctl credential show ${fingerprint}`,
    contactText: `The key ${fingerprint} of your account ${found.accountName} was never used and is revoked: it is not yours. If it is, call us.`,
  });
}

/**
 * Raises an alert whose text goes to the account's contact, because somebody outside must hear of a change to its
 * credentials.
 */
export async function tellContact(
  tx: Transaction,
  kind: AlertKind,
  holder: Holder,
  words: {
    readonly text: string;
    readonly contactText: string;
    readonly next: string;
    readonly facts: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  await insertAlert(tx, {
    kind,
    severity: 'notice',
    subject: `${holder.id}/${JSON.stringify(words.facts)}`.slice(0, 400),
    customer: holder.customer,
    account: holder.id,
    text: words.text,
    facts: { account: holder.name, ...words.facts },
    nextCommand: words.next,
    contactText: words.contactText,
  });
}
