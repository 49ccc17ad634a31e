// Owns: what happens to credentials, whoever asked for it (an operator's command, a customer's console, the clock): effect, budgets, record.
// Must never: bring a revoked credential back, or a key that any account has had.
import { randomUUID } from 'node:crypto';
import { hourMs } from '../../config/credential-ages.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { parsePublicKeyLine, rsaBitsMin } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { AlertKind } from '../alerts/alert-kinds.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { fingerprintOf } from '../authentication/ssh-signature.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import { declareRelied, type Purpose } from '../changes/declared.ts';
import type { Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';
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

/** Inside one transaction, on behalf of somebody. */
export type Acting = {
  readonly tx: Transaction;
  readonly warden: Warden;
  /** As it stands in rows and entries: `operator alice`, `account acme`, `the clock`. */
  readonly by: string;
  readonly endSessions: (filter: SessionFilter, reason: string) => Promise<number>;
};

export type Holder = { readonly id: AccountId; readonly name: string; readonly customer: CustomerId | null };

/** For operators: never one of a self-test, which its node makes and ends itself. */
export async function requireCredential(tx: Transaction, fingerprint: string, purpose: Purpose): Promise<FoundCredential> {
  const found = await findCredentialByFingerprint(tx, fingerprint, purpose);
  if (found === undefined || found.isSelfTest)
    throw new CofferdamError('not-found', 'no account has a credential of this name: see `cofferctl credential list`');
  return found;
}

export async function recordCredential(
  tx: Transaction,
  kind: EntryKind,
  of: { readonly id: CredentialId; readonly account: AccountId; readonly customer: CustomerId | null; readonly fingerprint: string },
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

/** Of a public key in OpenSSH's one-line form; throws `invalid` on anything else. */
export const fingerprintOfLine = (line: string): string => fingerprintOf(parsePublicKeyLine(line, rsaBitsMin.legacy).blob);

export type KeyWish = {
  readonly holder: Holder;
  readonly publicKey: string;
  /** Somebody signed for it with the key itself. */
  readonly isProved: boolean;
  /** What is said when the key is or was somebody's; undefined: that, to operators. */
  readonly refusal?: string;
  readonly lifeDays?: number | undefined;
  readonly readOnly?: boolean | undefined;
  readonly networks?: readonly string[] | undefined;
  /** Hours until it may be used first. */
  readonly waitsHours?: number;
  /** The key it replaces; null: the one of a running rotation that nothing replaces yet. */
  readonly replaces: FoundCredential | null;
  /** Within this rotation only. */
  readonly rotation?: string;
  /** Days that both are good; undefined: from the first use of the new one, as the configuration says. */
  readonly overlapDays?: number | undefined;
};
export type Added = { readonly fingerprint: string; readonly validFrom: Date; readonly expiresAt: Date; readonly retiresAt: Date | null };

/** What can be said of a wish by itself, before anything is done for it. Throws `invalid` or `conflict`. */
export function requireFit(
  { credentials: ages, edges }: Pick<Warden['config'], 'credentials' | 'edges'>,
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

/** Registers a key with its budgets, and stages it as the successor of another when there is one to replace. */
export async function addKey(acting: Acting, wish: KeyWish): Promise<Added> {
  const { tx, warden, by } = acting;
  const { credentials: ages, budgets } = warden.config;
  const { holder, replaces } = wish;
  const { blob, type, lifeDays } = requireFit(warden.config, wish);
  const spot = await findUnreplaced(tx, holder.id, { rotation: wish.rotation, credential: replaces?.id });
  const [found] = spot === undefined ? [] : await findCredentials(tx, [spot.credential]);
  const old = replaces ?? found ?? null;
  // Whose key it becomes, and what it is made from.
  await declareRelied(tx, { kind: 'account', id: holder.id }, { name: holder.name, customer_id: holder.customer });
  if (old !== null) await declareRelied(tx, { kind: 'credential', id: old.id }, { account_id: holder.id, fingerprint: old.fingerprint });
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
    // What the old key may not do, the new one may not either.
    readOnly: wish.readOnly ?? old?.readOnly ?? false,
    networks: wish.networks ?? old?.networks ?? [],
    isProved: wish.isProved,
  });
  if (times === undefined)
    throw new CofferdamError('conflict', wish.refusal ?? `the key ${fingerprint} is or was registered; a key belongs to one account, once`);
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

async function replace({ tx, warden, by }: Acting, wish: KeyWish, spot: Spot | undefined, successor: CredentialId): Promise<Date | null> {
  const { holder, replaces } = wish;
  const { dayMs, overlapDays: usual } = warden.config.credentials;
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
    if (!(await insertItem(tx, rotation, replaces.id))) throw new CofferdamError('conflict', 'this key is being replaced already');
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

/** Revokes one credential for good and ends its sessions; false when it was revoked before. */
export async function revoke(acting: Acting, found: FoundCredential, why: string, isRetirement = false): Promise<number | false> {
  const { tx, by } = acting;
  await lockForWithdrawal(tx, { credential: found.id });
  if (!(await revokeCredential(tx, found.id, by, why))) return false;
  await markRetired(tx, found.id);
  await recordCredential(tx, isRetirement ? 'credential.retired' : 'credential.revoked', found, { by, why });
  return acting.endSessions({ credential: found.id }, isRetirement ? 'the key has retired' : 'the credential was revoked');
}

/**
 * The holder proved to have this key. Another account that has it without a proof loses it for good: nobody keeps a key from its owner by having it
 * registered. It was never used (the table sees to it that a first use is a proof), so it has no sessions. The other account is not told whose it is.
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
    text: `${fingerprint} was registered for ${found.accountName} without a proof; ${holder.name} proved to have it, so it is no key of ${found.accountName} any more`,
    facts: { account: found.accountName, fingerprint, holder: holder.name },
    nextCommand: `cofferctl credential show ${fingerprint}`,
    contactText: `The key ${fingerprint} of your account ${found.accountName} was never used and is revoked: it is not yours. If it is, call us.`,
  });
}

/** Somebody outside must hear of a change to his account's credentials. */
export async function tellContact(
  tx: Transaction,
  kind: AlertKind,
  holder: Holder,
  words: { readonly text: string; readonly contactText: string; readonly next: string; readonly facts: Readonly<Record<string, unknown>> },
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
