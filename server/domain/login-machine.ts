// Owns: the states of one login: which evidence counts, what the client is told next, and when the login is over.
// Must never: let evidence of one account count for another, or let a refusal show its reason (T-03, T-08, T-13).
import {
  evaluate,
  firstMethods,
  type Method,
  type PolicyDecision,
  type PolicyFacts,
  type Proof,
  type SessionPurpose,
} from './authentication-policy.ts';
import type { AccountId, CredentialId, Plane } from './ids.ts';
import { narrowed, permits, type Restrictions, unrestricted } from './restrictions.ts';

/**
 * A proof that was verified, with the account to which it belongs. Only the code that verified the proof creates one.
 */
export type VerifiedProof = {
  readonly proof: Proof;
  readonly account: AccountId;
  readonly credential: CredentialId | null;
  readonly restrictions: Restrictions;
};

/**
 * The facts about the account with this user name, as of this message. Null when there is no such account or it may not
 * log in.
 */
export type LoginFacts = PolicyFacts & {
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
  | { readonly type: 'proof'; readonly evidence: VerifiedProof | null }
  /** The client asks for keyboard-interactive authentication. */
  | { readonly type: 'ask' }
  | { readonly type: 'answer'; readonly evidence: VerifiedProof | null };

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
  readonly purpose: SessionPurpose;
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

type LoginRules = { readonly attemptsMax: number; readonly probesMax: number };
export type AttemptOrigin = { readonly plane: Plane; readonly source: string; readonly now: number };
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
  facts: LoginFacts | null,
  origin: AttemptOrigin,
  rules: LoginRules,
): Stepped {
  // RFC 4252 section 5 lets a client change the user name. No honest client needs that, and it would mix the proofs of
  // two people.
  if (state.isOver || username !== state.username) return over(state);
  const known = facts !== null && permits(facts.restrictions, origin) ? facts : null;
  switch (event.type) {
    case 'none':
      return tell(state, false, known, rules);
    case 'probe':
      return tell(state, event.fits, known, rules);
    case 'ask': {
      // Nobody is offered this method before a proof has counted, and a user without facts never is.
      if (!remaining(state, known).includes('keyboard-interactive'))
        return refuse({ ...state, asked: null }, known, rules);
      const asks = known?.canEnrol === true ? 'ticket' : 'code';
      return { state: { ...state, asked: asks }, step: { outcome: 'prompt', asks } };
    }
    case 'answer': {
      const { asked } = state;
      const expected: Proof = asked === 'ticket' ? 'ticket' : 'totp';
      return asked === null || event.evidence?.proof !== expected
        ? refuse({ ...state, asked: null }, known, rules)
        : take({ ...state, asked: null }, event.evidence, known, origin, rules);
    }
    case 'proof':
      return event.evidence?.proof === 'public-key' || event.evidence?.proof === 'password'
        ? take({ ...state, asked: null }, event.evidence, known, origin, rules)
        : refuse({ ...state, asked: null }, known, rules);
  }
}

/** Tells a client that proves nothing what it asked: the methods, or that its key would be considered. */
function tell(state: LoginState, fits: boolean, facts: LoginFacts | null, rules: LoginRules): Stepped {
  if (state.probes >= rules.probesMax) return over(state);
  const next = { ...state, probes: state.probes + 1, asked: null };
  return {
    state: next,
    step: fits ? { outcome: 'key-acceptable' } : { outcome: 'refused', methods: remaining(next, facts) },
  };
}

function take(
  state: LoginState,
  evidence: VerifiedProof,
  facts: LoginFacts | null,
  origin: AttemptOrigin,
  rules: LoginRules,
): Stepped {
  if (facts === null || evidence.account !== facts.account) return refuse(state, facts, rules);
  // A second key or a second password on one connection would mix two credentials in one login.
  const before = state.given.get(evidence.proof);
  if (before !== undefined && before !== evidence.credential) return refuse(state, facts, rules);
  const restrictions = narrowed(state.restrictions, evidence.restrictions);
  if (!permits(restrictions, origin)) return refuse(state, facts, rules);
  const next = { ...state, given: new Map([...state.given, [evidence.proof, evidence.credential]]), restrictions };
  const decision = evaluate(facts, new Set(next.given.keys()));
  if (decision.outcome === 'refused') return refuse(state, facts, rules);
  if (decision.outcome === 'partial') return { state: next, step: decision };
  return { state: { ...next, isOver: true }, step: accepted(next, facts, decision) };
}

function accepted(
  { given, restrictions }: LoginState,
  facts: LoginFacts,
  decision: Extract<PolicyDecision, { outcome: 'accepted' }>,
): LoginAccepted {
  const usedWindow = decision.row === 'key+window';
  const further = [facts.restrictions, ...(usedWindow ? [{ ...unrestricted, until: facts.windowUntil }] : [])];
  return {
    outcome: 'accepted',
    purpose: decision.purpose,
    proofs: [...given.keys(), ...(usedWindow ? (['activation-window'] as const) : [])].sort(),
    restrictions: further.reduce(narrowed, restrictions),
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
  facts: LoginFacts | null,
  origin: AttemptOrigin,
): LoginAccepted | undefined {
  const whole = { ...state, restrictions: credentials.reduce(narrowed, state.restrictions) };
  if (facts === null || !permits(facts.restrictions, origin) || !permits(whole.restrictions, origin)) return undefined;
  if (state.given.has('totp') && !facts.hasSecondFactor) return undefined;
  if (state.given.has('ticket') && !facts.canEnrol) return undefined;
  const decision = evaluate(facts, new Set(state.given.keys()));
  return decision.outcome === 'accepted' ? accepted(whole, facts, decision) : undefined;
}

/**
 * Returns the methods that remain after the proofs that counted so far, by the facts of the account: its kind, the rows
 * that it is allowed, whether it is bound to networks, and whether its window is open. A proof that did not count
 * changes nothing.
 */
function remaining(state: LoginState, facts: LoginFacts | null): readonly Method[] {
  const decision = evaluate(facts, new Set(state.given.keys()));
  return decision.outcome === 'partial' ? decision.methods : firstMethods;
}

function refuse(state: LoginState, facts: LoginFacts | null, rules: LoginRules): Stepped {
  const failures = state.failures + 1;
  const next = { ...state, failures };
  return failures >= rules.attemptsMax
    ? over(next)
    : { state: next, step: { outcome: 'refused', methods: remaining(next, facts) } };
}

const over = (state: LoginState): Stepped => ({ state: { ...state, isOver: true }, step: { outcome: 'closed' } });
