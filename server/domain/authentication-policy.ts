// Owns: the one table that says which sets of proofs open a session, and its evaluation.
// Must never: know how a proof is checked. Whatever is not in the table is refused.
import type { AccountKind } from './ids.ts';

/** A proof that was given and verified. Certificates and FIDO keys have their place here and no row in the table yet. */
export type Proof = 'public-key' | 'totp' | 'activation-window' | 'password' | 'certificate' | 'security-key';
export type Method = 'publickey' | 'keyboard-interactive' | 'password';

/** For each kind of account, the sets of proofs that suffice. `activation-window` is not given by the client: it holds or it does not. */
export const sufficientProofs: Readonly<Record<AccountKind, readonly (readonly Proof[])[]>> = {
  person: [['public-key', 'totp']],
  machine: [
    ['public-key', 'activation-window'],
    ['public-key', 'totp'],
  ],
};

const methodOf: Readonly<Partial<Record<Proof, Method>>> = {
  'public-key': 'publickey',
  totp: 'keyboard-interactive',
  password: 'password',
};

export type PolicyDecision =
  | { readonly outcome: 'accepted' }
  /** At least one proof counted and a sufficient set can still be completed by these methods. */
  | { readonly outcome: 'partial'; readonly methods: readonly Method[] }
  | { readonly outcome: 'refused' };

/** What a stranger is told before any proof: the same for every name. */
export const firstMethods: readonly Method[] = ['publickey'];

/**
 * Decides from the proofs of one user on one connection. `eligible` is false when the account is unknown, suspended, expired, of the
 * other plane, or comes from a network that is not its own: then nothing suffices.
 */
export function evaluate(kind: AccountKind, proofs: ReadonlySet<Proof>, eligible: boolean): PolicyDecision {
  if (!eligible) return { outcome: 'refused' };
  const methods = new Set<Method>();
  for (const row of sufficientProofs[kind]) {
    const missing = row.filter((proof) => !proofs.has(proof));
    if (missing.length === 0) return { outcome: 'accepted' };
    if (!proofs.has('public-key')) continue;
    const [next] = missing;
    const method = next === undefined ? undefined : methodOf[next];
    if (missing.length === 1 && method !== undefined) methods.add(method);
  }
  return methods.size === 0 ? { outcome: 'refused' } : { outcome: 'partial', methods: [...methods] };
}
