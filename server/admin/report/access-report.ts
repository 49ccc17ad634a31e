// Owns: composing the access review: what a credential may do and where, which sets of proofs open a session with it,
// and what blocks it.
// Must never: leave out somebody who can log in. A blocked credential is listed with the reason.
import { areBound } from '../../domain/addresses.ts';
import { type PolicyFacts, type Proof, setsWith } from '../../domain/authentication-policy.ts';
import type { AccessRow } from '../../rpc/operators/report.ts';
import type { AccessFact } from './access-queries.ts';

const dayMs = 86_400_000;
const changing = ['write', 'remove', 'done'];
const iso = (date: Date): string => date.toISOString();

/**
 * Returns the verbs that are effective. Read-only removes those that change something; in a deposit folder that allows
 * reading back, whoever may list may also read (see `download.open`).
 */
function verbsOf(fact: AccessFact): string[] {
  const isReadOnly = fact.readOnly || fact.credentialReadOnly === true;
  const given = fact.verbs ?? [];
  const readsBack =
    fact.direction === 'deposit' && fact.readBack === true && fact.plane === 'partner' && given.includes('list');
  const verbs = readsBack && !given.includes('read') ? [...given, 'read'] : given;
  return ['list', 'read', ...changing].filter(
    (verb) => verbs.includes(verb) && !(isReadOnly && changing.includes(verb)),
  );
}

function proofsOf(fact: AccessFact): { readonly allowedProofs: string[]; readonly opensWith: string[] } {
  if (fact.type === null) return { allowedProofs: [], opensWith: [] };
  const facts: PolicyFacts = {
    kind: fact.kind,
    allowed: fact.allowed,
    hasNetworks: areBound(fact.networks),
    isWindowOpen: false,
  };
  const allowed = setsWith(fact.type, facts);
  const has = (proof: Proof): boolean => {
    if (proof === fact.type) return true;
    if (proof === 'totp') return fact.secondFactor;
    if (proof === 'activation-window') return fact.windowCount > 0;
    if (proof === 'password') return fact.hasPassword;
    return proof === 'public-key' && fact.hasKey;
  };
  return {
    allowedProofs: allowed.map((row) => row.name),
    opensWith: allowed.filter((row) => row.proofs.every(has)).map((row) => row.name),
  };
}

function blockedBy(fact: AccessFact, opensWith: readonly string[]): string | null {
  if (fact.state !== 'active') return `the account is ${fact.state}`;
  if (fact.expiresAt !== null && fact.expiresAt <= fact.now) return 'the account has ended';
  if (fact.fingerprint === null) return 'no usable credential';
  if (fact.customerState !== null && fact.customerState !== 'active') return `the customer is ${fact.customerState}`;
  if (fact.credentialState !== 'active' && fact.credentialState !== 'retiring')
    return `the credential is ${fact.credentialState}`;
  if (opensWith.length === 0) return 'no set of proofs is complete';
  return fact.folder === null ? 'no right on any folder' : null;
}

function credentialOf(fact: AccessFact): AccessRow['credential'] {
  const { fingerprint, type, algorithm, credentialState, issuedBy, issuedAt, validFrom, credentialExpiresAt } = fact;
  if (fingerprint === null || type === null || issuedAt === null || validFrom === null || credentialExpiresAt === null)
    return null;
  return {
    fingerprint,
    type,
    algorithm: algorithm ?? '',
    state: credentialState ?? '',
    issuedBy: issuedBy ?? '',
    issuedAt: iso(issuedAt),
    validFrom: iso(validFrom),
    expiresAt: iso(credentialExpiresAt),
    firstUsed: fact.firstUsedAt === null ? null : { at: iso(fact.firstUsedAt), from: fact.firstUsedFrom },
    lastUsed: fact.lastUsedAt === null ? null : { at: iso(fact.lastUsedAt), from: fact.lastUsedFrom },
    readOnly: fact.credentialReadOnly === true,
    networks: [...(fact.credentialNetworks ?? [])],
    unusedDays: Math.max(0, Math.floor((fact.now.getTime() - (fact.lastUsedAt ?? validFrom).getTime()) / dayMs)),
  };
}

/** Returns one line of the access review. */
export function accessRow(fact: AccessFact): AccessRow {
  const { allowedProofs, opensWith } = proofsOf(fact);
  return {
    account: fact.account,
    kind: fact.kind,
    plane: fact.plane,
    state: fact.state,
    expiresAt: fact.expiresAt === null ? null : iso(fact.expiresAt),
    contact: fact.contact,
    manages: fact.manages,
    readOnly: fact.readOnly,
    networks: [...fact.networks],
    secondFactor: fact.secondFactor,
    endedCredentials: fact.endedCredentials,
    windows: (fact.windows ?? []).map((one) => ({
      ...one,
      opensAt: iso(new Date(one.opensAt)),
      closesAt: iso(new Date(one.closesAt)),
    })),
    windowCount: fact.windowCount,
    customer: fact.customer,
    customerState: fact.customerState,
    folder: fact.folder,
    direction: fact.direction,
    verbs: verbsOf(fact),
    credential: credentialOf(fact),
    allowedProofs,
    opensWith,
    blocked: blockedBy(fact, opensWith),
  };
}
