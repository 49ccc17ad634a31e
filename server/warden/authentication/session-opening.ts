// Owns: what follows when all proofs were given: the session and its entry in the record, or the answer that the cap of
// sessions is reached.

import { sourceOf } from '../../domain/addresses.ts';
import { isPostQuantum } from '../../domain/algorithms.ts';
import type { Proof, SessionPurpose } from '../../domain/authentication-policy.ts';
import type { CredentialId } from '../../domain/ids.ts';
import type { Restrictions } from '../../domain/restrictions.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { countKeyExchange } from '../exchanges/exchange-queries.ts';
import type { Issued } from '../exchanges/exchanges.ts';
import { rememberSource } from '../guesses/penalty-queries.ts';
import type { LedgerEntry } from '../ledger/entries/entry.ts';
import { record } from '../ledger/entries/record.ts';
import type { FullScope } from '../sessions/session-limit-queries.ts';
import type { Opening, SessionRegistry } from '../sessions/sessions.ts';
import { type AccountFacts, touchCredential } from './login-queries.ts';
import type { GivenNames } from './login-record.ts';

type Accepted = {
  readonly account: AccountFacts;
  readonly scope: Opening['scope'];
  /** Milliseconds since 1970, by the clock of the database. */
  readonly now: number;
  readonly credentials: ReadonlyMap<Proof, CredentialId | null>;
  readonly proofs: readonly Proof[];
  readonly purpose: SessionPurpose;
  readonly restrictions: Restrictions;
  readonly window: string | null;
  /** The names that go on the record: those of the credentials that opened the session, by their verified rows. */
  readonly names: GivenNames;
  readonly params: Params<EdgeToWarden, 'login.attempt'>;
  readonly issued: Issued;
  readonly caller: EdgeCaller;
  readonly startId: string;
};
type Outcome = Result<EdgeToWarden, 'login.attempt'>;

/** Opens the session, inside the transaction in which the last proof counted. */
export async function openSession(tx: Transaction, sessions: SessionRegistry, accepted: Accepted): Promise<Outcome> {
  const { account, credentials, params, caller, issued } = accepted;
  const key = credentials.get('public-key') ?? null;
  const password = credentials.get('password') ?? null;
  const credential = key ?? password;
  if (credential === null) throw new Error('a login without a credential');
  const base = {
    customer: account.customer,
    account: account.id,
    node: caller.node,
    plane: caller.plane,
    observer: 'warden',
    ...accepted.names,
    source: params.source,
    client: issued.client,
  } as const;
  const opened = await sessions.open(tx, {
    account: account.id,
    customer: account.customer,
    credential,
    alsoCredential: key === null ? null : password,
    purpose: accepted.purpose,
    scope: accepted.scope,
    now: accepted.now,
    until: accepted.restrictions.until,
    window: accepted.window,
    caller,
    startId: accepted.startId,
    source: params.source,
    issued,
  });
  if (opened === undefined) return { outcome: 'closed' };
  if ('full' in opened) return refuseFull(tx, account, base, opened.full);
  const source = sourceOf(params.source.address);
  for (const one of [key, password]) if (one !== null) await touchCredential(tx, one, params.source.address);
  await rememberSource(tx, account.id, source);
  await countKeyExchange(tx, account.id, isPostQuantum(issued.keyExchange), issued.client);
  await record(tx, {
    ...base,
    kind: 'session.opened',
    session: opened.id,
    public: {
      proofs: accepted.proofs,
      purpose: accepted.purpose,
      readOnly: accepted.restrictions.readOnly,
      keyExchange: issued.keyExchange,
      hostKey: issued.hostKeyAlgorithm,
      ...issued.algorithms,
    },
    sensitive: { window: accepted.window },
  });
  return {
    outcome: 'accepted',
    session: {
      id: opened.id,
      token: opened.token,
      account: account.name,
      kind: account.kind,
      start: [...accepted.scope.start],
      absoluteLifeMs: opened.absoluteLifeMs,
      idleLifeMs: opened.idleLifeMs,
    },
  };
}

/** Records that a scope has as many sessions open as it may have, raises the alert, and returns the outcome. */
async function refuseFull(
  tx: Transaction,
  account: AccountFacts,
  base: Omit<LedgerEntry, 'kind'>,
  { scope, sessionsMax }: FullScope,
): Promise<Outcome> {
  const facts = { scope, sessionsMax };
  await record(tx, { ...base, kind: 'session.refused', public: facts });
  await insertAlert(tx, {
    kind: 'session.refused',
    severity: 'warning',
    subject: `${scope}/${account.id}`,
    customer: account.customer,
    account: account.id,
    text: `${account.name} was refused a session: its ${scope} has ${sessionsMax} open at once, which is the most`,
    facts: { account: account.name, ...facts },
    nextCommand: 'cofferctl session list',
    contactText: `A login of your account ${account.name} was refused: too many sessions at once.`,
  });
  return { outcome: 'full' };
}
