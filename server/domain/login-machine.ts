// Owns: the states of one login: which evidence counts, what the client is told next, and when the login is over.
// Must never: let evidence of one account count for another, or let a refusal show its reason (T-03, T-08, T-13).
import {
  evaluate,
  firstMethods,
  type Method,
  type PolicyDecision,
  type PolicyFacts,
  type Proof,
  type Purpose,
} from './authentication-policy.ts';
import type { AccountId, CredentialId, Plane } from './ids.ts';
import { narrowed, permits, type Restrictions, unrestricted } from './restrictions.ts';

/** A proof that was verified, with the account to which it belongs. Only the code that verified the proof creates one. */
export type Evidence = {
  readonly proof: Proof;
  readonly account: AccountId;
  readonly credential: CredentialId | null;
  readonly restrictions: Restrictions;
};

/** The facts about the account with this user name, as of this message. Null when there is no such account or it may not log in. */
export type Standing = PolicyFacts & {
  readonly account: AccountId;
  readonly restrictions: Restrictions;
  /** The end of the open window, in milliseconds since 1970. */
  readonly windowUntil: number | null;
  readonly hasSecondFactor: boolean;
  /** Whether a second factor can be enrolled: the account has none, and a ticket is waiting. */
  readonly canEnrol: boolean;
};

export type LoginEvent =
  | { readonly type: 'none' }
  /**
   * The client asks whether a signature by this key would be considered. `fits` tells whether the key's form and
   * algorithm are acceptable; it does not depend on the user name.
   */
  | { readonly type: 'probe'; readonly fits: boolean }
  /** A signature or a password. `evidence` is null when it did not verify. */
  | { readonly type: 'proof'; readonly evidence: Evidence | null }
  /** The client asks for keyboard-interactive authentication. */
  | { readonly type: 'ask' }
  | { readonly type: 'answer'; readonly evidence: Evidence | null };

export type LoginState = {
  readonly username: string;
  readonly given: ReadonlyMap<Proof, CredentialId | null>;
  readonly restrictions: Restrictions;
  readonly asked: 'code' | 'ticket' | null;
  readonly failures: number;
  readonly probes: number;
  readonly isOver: boolean;
};

export type LoginAccepted = {
  readonly outcome: 'accepted';
  readonly proofs: readonly Proof[];
  readonly purpose: Purpose;
  readonly restrictions: Restrictions;
  readonly usedWindow: boolean;
};
export type LoginStep =
  | LoginAccepted
  | { readonly outcome: 'partial'; readonly methods: readonly Method[] }
  | { readonly outcome: 'refused'; readonly methods: readonly Method[] }
  | { readonly outcome: 'key-acceptable' }
  | { readonly outcome: 'prompt'; readonly asks: 'code' | 'ticket' }
  | { readonly outcome: 'closed' };

export type LoginRules = { readonly attemptsMax: number; readonly probesMax: number };
export type Place = { readonly plane: Plane; readonly source: string; readonly now: number };
type Stepped = { readonly state: LoginState; readonly step: LoginStep };

export const beginLogin = (username: string): LoginState => ({
  username,
  given: new Map(),
  restrictions: unrestricted,
  asked: null,
  failures: 0,
  probes: 0,
  isOver: false,
});

/**
 * Processes one message of the client. `username` is the name in this very message. The function is pure: the same
 * input gives the same result.
 */
export function stepLogin(
  state: LoginState,
  username: string,
  event: LoginEvent,
  standing: Standing | null,
  place: Place,
  rules: LoginRules,
): Stepped {
  // RFC 4252 section 5 lets a client change the user name. No honest client needs that, and it would mix the proofs of two people.
  if (state.isOver || username !== state.username) return over(state);
  const known = standing !== null && permits(standing.restrictions, place) ? standing : null;
  switch (event.type) {
    case 'none':
    case 'probe': {
      if (state.probes >= rules.probesMax) return over(state);
      const next = { ...state, probes: state.probes + 1, asked: null };
      return event.type === 'probe' && event.fits
        ? { state: next, step: { outcome: 'key-acceptable' } }
        : { state: next, step: { outcome: 'refused', methods: remaining(next, known) } };
    }
    case 'ask': {
      const methods = remaining(state, known);
      if (known === null || state.given.size === 0 || !methods.includes('keyboard-interactive'))
        return refuse({ ...state, asked: null }, known, rules);
      const asks = known.canEnrol ? 'ticket' : 'code';
      return { state: { ...state, asked: asks }, step: { outcome: 'prompt', asks } };
    }
    case 'answer': {
      const { asked } = state;
      const expected: Proof = asked === 'ticket' ? 'ticket' : 'totp';
      return asked === null || event.evidence?.proof !== expected
        ? refuse({ ...state, asked: null }, known, rules)
        : take({ ...state, asked: null }, event.evidence, known, place, rules);
    }
    case 'proof':
      return event.evidence?.proof === 'public-key' || event.evidence?.proof === 'password'
        ? take({ ...state, asked: null }, event.evidence, known, place, rules)
        : refuse({ ...state, asked: null }, known, rules);
  }
}

function take(state: LoginState, evidence: Evidence, standing: Standing | null, place: Place, rules: LoginRules): Stepped {
  if (standing === null || evidence.account !== standing.account) return refuse(state, standing, rules);
  // A second key or a second password on one connection would mix two credentials in one login.
  const before = state.given.get(evidence.proof);
  if (before !== undefined && before !== evidence.credential) return refuse(state, standing, rules);
  const restrictions = narrowed(state.restrictions, evidence.restrictions);
  if (!permits(restrictions, place)) return refuse(state, standing, rules);
  const next = { ...state, given: new Map([...state.given, [evidence.proof, evidence.credential]]), restrictions };
  const decision = evaluate(standing, new Set(next.given.keys()));
  if (decision.outcome === 'refused') return refuse(state, standing, rules);
  if (decision.outcome === 'partial') return { state: next, step: decision };
  return { state: { ...next, isOver: true }, step: accepted(next, standing, decision) };
}

function accepted(
  { given, restrictions }: LoginState,
  standing: Standing,
  decision: Extract<PolicyDecision, { outcome: 'accepted' }>,
): LoginAccepted {
  const usedWindow = decision.row === 'key+window';
  const whole = narrowed(restrictions, standing.restrictions);
  return {
    outcome: 'accepted',
    purpose: decision.purpose,
    proofs: [...given.keys(), ...(usedWindow ? (['activation-window'] as const) : [])].sort(),
    restrictions: usedWindow ? narrowed(whole, { ...unrestricted, until: standing.windowUntil }) : whole,
    usedWindow,
  };
}

/**
 * Returns what the proofs of a login open as everything is now, or undefined when they no longer open anything. The
 * code that opens the session calls it at a moment when nothing behind the login can be withdrawn. `credentials` are
 * the present restrictions of each credential.
 */
export function stillOpens(
  state: LoginState,
  credentials: readonly Restrictions[],
  standing: Standing | null,
  place: Place,
): LoginAccepted | undefined {
  const whole = { ...state, restrictions: credentials.reduce(narrowed, state.restrictions) };
  if (standing === null || !permits(standing.restrictions, place) || !permits(whole.restrictions, place)) return undefined;
  if (state.given.has('totp') && !standing.hasSecondFactor) return undefined;
  if (state.given.has('ticket') && !standing.canEnrol) return undefined;
  const decision = evaluate(standing, new Set(state.given.keys()));
  return decision.outcome === 'accepted' ? accepted(whole, standing, decision) : undefined;
}

/** Returns the methods that remain. Only the proofs that counted so far decide them. */
function remaining(state: LoginState, standing: Standing | null): readonly Method[] {
  if (state.given.size === 0) return firstMethods;
  const decision = evaluate(standing, new Set(state.given.keys()));
  return decision.outcome === 'partial' ? decision.methods : firstMethods;
}

function refuse(state: LoginState, standing: Standing | null, rules: LoginRules): Stepped {
  const failures = state.failures + 1;
  const next = { ...state, failures };
  return failures >= rules.attemptsMax ? over(next) : { state: next, step: { outcome: 'refused', methods: remaining(next, standing) } };
}

const over = (state: LoginState): Stepped => ({ state: { ...state, isOver: true }, step: { outcome: 'closed' } });
