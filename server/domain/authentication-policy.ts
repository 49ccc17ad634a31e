// Owns: the one table that says which sets of proofs open a session, and its evaluation.
// Must never: know how a proof is verified, or accept a set that is not in the table.
import type { AccountKind } from './ids.ts';

/**
 * A proof that was given and verified. `activation-window` is not given by the client: the window is open or it is not.
 * Nothing verifies `certificate` and `security-key` yet, so the rows of the table that need them never apply.
 */
export type Proof =
  | 'public-key'
  | 'totp'
  | 'ticket'
  | 'activation-window'
  | 'password'
  | 'certificate'
  | 'security-key';
/** The SSH authentication methods in use (RFC 4252, RFC 4256). */
export type Method = 'publickey' | 'keyboard-interactive' | 'password';

/** What a session may be used for: transferring files, or enrolling a second factor and nothing else. */
export type SessionPurpose = 'transfer' | 'enrolment';
type PolicyRow = {
  readonly name: string;
  readonly kinds: readonly AccountKind[];
  readonly proofs: readonly Proof[];
  readonly purpose: SessionPurpose;
  /** The row applies only to accounts that are bound to source networks. */
  readonly needsNetworks?: true;
};

export const policyRows = [
  { name: 'key+code', kinds: ['person', 'machine'], proofs: ['public-key', 'totp'], purpose: 'transfer' },
  { name: 'password+code', kinds: ['person'], proofs: ['password', 'totp'], purpose: 'transfer' },
  { name: 'security-key', kinds: ['person'], proofs: ['security-key'], purpose: 'transfer' },
  { name: 'key+certificate', kinds: ['machine'], proofs: ['public-key', 'certificate'], purpose: 'transfer' },
  {
    name: 'key+password',
    kinds: ['machine'],
    proofs: ['public-key', 'password'],
    purpose: 'transfer',
    needsNetworks: true,
  },
  { name: 'key+window', kinds: ['machine'], proofs: ['public-key', 'activation-window'], purpose: 'transfer' },
  { name: 'key+ticket', kinds: ['person', 'machine'], proofs: ['public-key', 'ticket'], purpose: 'enrolment' },
  { name: 'password+ticket', kinds: ['person'], proofs: ['password', 'ticket'], purpose: 'enrolment' },
] as const satisfies readonly PolicyRow[];
type PolicyRowName = (typeof policyRows)[number]['name'];
/**
 * The names of rows that a customer's own policy may list. Enrolment rows are not listed: each follows from the row
 * that needs the code.
 */
export const transferRowNames = policyRows.filter((row) => row.purpose === 'transfer').map((row) => row.name);

const methodOf: Readonly<Partial<Record<Proof, Method>>> = {
  'public-key': 'publickey',
  totp: 'keyboard-interactive',
  ticket: 'keyboard-interactive',
  password: 'password',
};

/** What the policy needs to know of an account that may log in. */
export type PolicyFacts = {
  readonly kind: AccountKind;
  /**
   * The names of the rows that the customer allows; null when it allows all of them. An unknown name allows nothing.
   */
  readonly allowed: readonly string[] | null;
  readonly hasNetworks: boolean;
  readonly isWindowOpen: boolean;
};

export type PolicyDecision =
  | { readonly outcome: 'accepted'; readonly row: PolicyRowName; readonly purpose: SessionPurpose }
  /** At least one proof counted, and one of these methods can still complete a sufficient set. */
  | { readonly outcome: 'partial'; readonly methods: readonly Method[] }
  | { readonly outcome: 'refused' };

/** The methods that a client is offered before any proof. They are the same for every user name. */
export const firstMethods: readonly Method[] = ['publickey', 'password'];

function applies(row: PolicyRow, facts: PolicyFacts): boolean {
  if (!row.kinds.includes(facts.kind) || (row.needsNetworks === true && !facts.hasNetworks)) return false;
  // Enrolment follows from the row that needs the code.
  return (
    facts.allowed === null ||
    facts.allowed.includes(row.name) ||
    facts.allowed.includes(row.name.replace('ticket', 'code'))
  );
}

const isVerified = (proof: Proof): boolean => proof === 'activation-window' || methodOf[proof] !== undefined;

/**
 * Returns the rows that may open a transfer session with a credential of this type: the customer allows them, and the
 * gateway can verify every proof in them.
 */
export function setsWith(proof: 'public-key' | 'password', facts: PolicyFacts): readonly PolicyRow[] {
  const rows: readonly PolicyRow[] = policyRows;
  return rows.filter(
    (row) =>
      row.purpose === 'transfer' && row.proofs.includes(proof) && row.proofs.every(isVerified) && applies(row, facts),
  );
}

/**
 * Decides from the proofs that were given on one connection for one user name. `facts` is null when nothing may
 * suffice: the account is unknown, suspended, expired or of the other plane.
 */
export function evaluate(facts: PolicyFacts | null, given: ReadonlySet<Proof>): PolicyDecision {
  if (facts === null) return { outcome: 'refused' };
  const proofs = facts.isWindowOpen ? new Set<Proof>([...given, 'activation-window']) : given;
  const methods = new Set<Method>();
  for (const row of policyRows) {
    if (!applies(row, facts)) continue;
    const [missing, ...others] = row.proofs.filter((proof) => !proofs.has(proof));
    if (missing === undefined) return { outcome: 'accepted', row: row.name, purpose: row.purpose };
    const counted = row.proofs.some((proof) => given.has(proof));
    const method = methodOf[missing];
    if (counted && others.length === 0 && method !== undefined) methods.add(method);
  }
  return methods.size === 0 ? { outcome: 'refused' } : { outcome: 'partial', methods: [...methods] };
}
