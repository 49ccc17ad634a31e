// Owns: the logins under way, one for each connection of an edge. Each message is verified, decided by the login
// machine, and recorded.
// Must never: decide by itself what counts (the login machine does), or examine a guess that no counter has taken.
import { loginMs } from '../../config/config.ts';
import { areBound } from '../../domain/addresses.ts';
import { held } from '../../domain/detached.ts';
import type { CredentialId } from '../../domain/ids.ts';
import {
  type AttemptOrigin,
  beginLogin,
  type LoginEvent,
  type LoginFacts,
  type LoginState,
  type LoginStep,
  stepLogin,
  stillOpens,
  type VerifiedProof,
} from '../../domain/login-machine.ts';
import { permits } from '../../domain/restrictions.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { Release } from '../../rpc/slots.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { claimOf, type WardenSlots } from '../callers/shares.ts';
import { PasswordHashing, passwordName } from '../credentials/passwords.ts';
import type { Exchanges, Issued } from '../exchanges/exchanges.ts';
import { type Counted, countedCodesOf } from '../factors/used-codes.ts';
import { type Guess, Penalties, type PenaltyConfig } from '../guesses/penalties.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { UsedAllowances } from '../nodes/allowances.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import { installationId } from '../seals/seal-queries.ts';
import { factsOfRow, verifiedAhead, verifiedBehind } from '../seals/seals.ts';
import { lockForOpening } from '../sessions/session-limit-queries.ts';
import { activeCustomers } from '../sessions/session-queries.ts';
import { accountOf, reachOf } from '../sessions/session-scope.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { type AccountFacts, findUsable, findUsableAmong } from './login-queries.ts';
import { findNamed, namesOfGiven, recordFailure, recordPartial } from './login-record.ts';
import { asking, spoken, usedCode } from './login-words.ts';
import { openSession } from './session-opening.ts';
import { opensByVerified } from './verified-login.ts';
import { isWorthSigning, passwordProof, verifyCode, verifyKey, verifyTicket } from './verify-evidence.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;
type Outcome = Result<EdgeToWarden, 'login.attempt'>;
export type Login = {
  state: LoginState;
  /** The session identifier that every signature of this login must cover. */
  readonly issued: Issued;
  /**
   * The name of the credential that was shown last, whether or not it verified. It is used for entries about refusals
   * only.
   */
  shown: string | null;
  /** The credentials that were proved, and the name under which each was proved. */
  readonly proved: Map<CredentialId, string>;
  /** The stored hash against which the password was verified. */
  passwordHash: string | null;
  /** The digest of the sealed seed against which a code was verified. */
  seed: string | null;
  /** The code that counted in the present attempt. */
  counted: Counted | null;
  /** The last answer was a code that had counted before. It is said again where the next code is asked for. */
  hasUsedCode: boolean;
  readonly startedAt: number;
  readonly release: Release;
  queue: Promise<unknown>;
};
type Seen = { readonly account: AccountFacts | undefined; readonly facts: LoginFacts | null; readonly now: number };

const probesMax = 20;

export type LoginDependencies = {
  readonly config: PenaltyConfig;
  readonly database: Database;
  readonly keys: KeyRing;
  readonly sessions: SessionRegistry;
  readonly exchanges: Exchanges;
  readonly slots: WardenSlots;
  /** The allowances of the calling node; here for hashing the passwords of strangers. */
  readonly allowances: Pick<UsedAllowances, 'mayHash'>;
  readonly startIdOf: (caller: EdgeCaller) => string;
};

export class Logins {
  readonly #given: LoginDependencies;
  readonly #open = new Map<string, Login>();
  readonly #penalties: Penalties;
  readonly #hashing: PasswordHashing;
  readonly #timer: NodeJS.Timeout;

  constructor(given: LoginDependencies) {
    this.#given = given;
    this.#penalties = new Penalties(given.config, given.database);
    this.#hashing = new PasswordHashing(given.slots.hashes);
    this.#timer = setInterval(() => this.#expire(), 5000);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get passwordsWaiting(): number {
    return this.#hashing.waiting;
  }

  abandon(connection: string, caller: EdgeCaller): void {
    this.#forget(`${caller.node}/${connection}`);
    this.#given.exchanges.close(caller, connection);
  }
  /** Decides one message of the client. Messages of one connection are decided one after the other. */
  async attempt(params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    const key = `${caller.node}/${params.connection}`;
    let login = this.#open.get(key);
    if (login === undefined) {
      // Evidence counts only for a session identifier that was issued to this node for this connection and that is
      // still open.
      const issued = this.#given.exchanges.find(caller, params.connection);
      if (issued === undefined) return { outcome: 'closed' };
      const release = this.#given.slots.logins.take(claimOf(caller));
      login = {
        state: beginLogin(params.username),
        issued,
        shown: null,
        proved: new Map(),
        passwordHash: null,
        seed: null,
        counted: null,
        hasUsedCode: false,
        startedAt: performance.now(),
        release,
        queue: Promise.resolve(),
      };
      this.#open.set(key, login);
    }
    const current = login;
    const result = current.queue.then(() => this.#decide(current, params, caller));
    const answered = result
      .catch((error: unknown) => {
        // A message that could not be decided and recorded is refused, and nothing more is examined on this connection.
        current.state = { ...current.state, isOver: true };
        throw error;
      })
      .finally(() => {
        if (!current.state.isOver) return;
        this.#given.exchanges.close(caller, params.connection);
        if (this.#open.get(key) === current) this.#forget(key);
      });
    current.queue = held(answered.catch(() => {}));
    return answered;
  }

  async #decide(login: Login, params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    const { state } = login;
    const { evidence } = params;
    const { database, exchanges, keys } = this.#given;
    if (state.isOver || params.username !== state.username)
      return this.#step(login, params, caller, { type: 'none' }, null, 0).outcome;
    if (evidence.type === 'none' || evidence.type === 'public-key-probe') {
      const fits = evidence.type === 'public-key-probe' && isWorthSigning(evidence, exchanges.profileOf(caller));
      // Before a proof has counted, the answer is the same for every name. No account is looked up, so these questions
      // cost no transaction.
      const { facts, now } = state.given.size === 0 ? { facts: null, now: 0 } : await this.#see(params);
      return this.#step(login, params, caller, fits ? { type: 'probe', fits } : { type: 'none' }, facts, now).outcome;
    }
    const asked = await this.#guess(login, params, caller);
    const password =
      evidence.type === 'password' && asked?.isTaken === true
        ? await this.#password(login, evidence.password, asked, params.source.address, caller)
        : false;
    const guess = password === undefined && asked !== undefined ? await this.#penalties.giveBack(asked) : asked;
    const outcome = await database.withSystem(async (tx) => {
      // A transaction that was undone and is tried again begins in the state in which the attempt began.
      login.state = state;
      login.counted = null;
      const seen = await this.#seeIn(tx, params);
      const event = await this.#event(tx, login, params, caller, seen, guess, password === true);
      const { outcome: next, step } = this.#step(login, params, caller, event, seen.facts, seen.now);
      if (step.outcome === 'partial') await recordPartial(tx, login, params, caller, seen.account);
      if (next.outcome === 'prompt')
        return asking(next, params.username, (await installationId(tx)).id, login.hasUsedCode);
      if (guess?.isTaken === true && (step.outcome === 'accepted' || step.outcome === 'partial'))
        await this.#penalties.settle(tx, guess);
      return step.outcome === 'accepted' && seen.account !== undefined
        ? this.#accept(tx, login, params, caller, seen.account)
        : next;
    });
    if (login.counted !== null) countedCodesOf(keys).learn(login.counted);
    if (outcome.outcome === 'refused' || outcome.outcome === 'closed')
      await recordFailure(database, login, params, caller, guess);
    return outcome.outcome === 'refused' && evidence.type === 'answers' && login.hasUsedCode
      ? { ...outcome, words: usedCode }
      : outcome;
  }

  async #see(params: Attempt): Promise<Seen> {
    return this.#given.database.withSystem((tx) => this.#seeIn(tx, params));
  }

  /**
   * Reads what is known of the user name. The look-up happens for every name, so that names that do not exist cost the
   * same.
   */
  async #seeIn(tx: Transaction, params: Attempt): Promise<Seen> {
    const { account, now } = await findNamed(tx, params.username);
    if (account === undefined) return { account, facts: null, now };
    if (!account.isActive) return { account, facts: null, now };
    return {
      account,
      now,
      facts: {
        account: account.id,
        kind: account.kind,
        allowed: account.allowed,
        hasNetworks: account.restrictions.networks.some(areBound),
        isWindowOpen: account.window !== null,
        windowUntil: account.window?.until ?? null,
        restrictions: account.restrictions,
        hasSecondFactor: account.hasSecondFactor,
        canEnrol: !account.hasSecondFactor && account.ticket !== null,
      },
    };
  }

  /**
   * Counts a guess before it is examined. Passwords, codes and tickets can be guessed; other evidence cannot, and
   * returns undefined.
   */
  async #guess(login: Login, params: Attempt, caller: EdgeCaller): Promise<Guess | undefined> {
    const { type } = params.evidence;
    const isAnswer = type === 'answers' && login.state.asked !== null;
    if (type !== 'password' && !isAnswer) return undefined;
    const { account, facts, now } = await this.#see(params);
    const origin = originOf(params, caller, now);
    // A guess from a network or plane from which the account may never log in says nothing about the account, and does
    // not count against it.
    const isAimed = facts !== null && permits(facts.restrictions, origin);
    return this.#penalties.take({
      account: isAimed && account !== undefined ? account.id : null,
      username: params.username,
      source: params.source.address,
      node: caller.node,
      what: type === 'password' ? 'password' : 'code',
    });
  }

  /**
   * Returns whether the password is right; undefined when its sender's allowance or the hashing queue was exhausted.
   */
  async #password(
    login: Login,
    password: string,
    guess: Guess,
    address: string,
    caller: EdgeCaller,
  ): Promise<boolean | undefined> {
    // The allowance depends on the address only, so that a refusal without examination says nothing about the name or
    // the password.
    if (!guess.isKnown && !(await this.#given.allowances.mayHash(caller, address))) return undefined;
    const name = passwordName(password);
    const found = await this.#given.database.withSystem((tx) => findUsable(tx, name, this.#dormantMs));
    const isRight = await this.#hashing.verify(
      found?.passwordHash ?? undefined,
      password,
      guess.isKnown,
      claimOf(caller),
    );
    if (isRight === true) login.passwordHash = found?.passwordHash ?? null;
    return isRight;
  }

  get #dormantMs(): number {
    const { credentials } = this.#given.config;
    return credentials.dormantDays * credentials.dayMs;
  }

  async #event(
    tx: Transaction,
    login: Login,
    params: Attempt,
    caller: EdgeCaller,
    seen: Seen,
    guess: Guess | undefined,
    isPasswordRight: boolean,
  ): Promise<LoginEvent> {
    const { evidence } = params;
    const { exchanges, keys } = this.#given;
    switch (evidence.type) {
      case 'public-key': {
        const verified = await verifyKey(tx, evidence, {
          username: params.username,
          sessionIdentifier: login.issued.sessionIdentifier,
          profile: exchanges.profileOf(caller),
          dormantMs: this.#dormantMs,
        });
        return proofOf(login, verified.fingerprint, verified.evidence);
      }
      case 'password': {
        const name = passwordName(evidence.password);
        return proofOf(login, name, await passwordProof(tx, name, isPasswordRight, this.#dormantMs));
      }
      case 'keyboard-interactive':
        return { type: 'ask' };
      case 'answers': {
        const [answer] = evidence.answers;
        const { asked } = login.state;
        login.hasUsedCode = false;
        if (
          guess?.isTaken !== true ||
          answer === undefined ||
          evidence.answers.length !== 1 ||
          seen.account === undefined
        )
          return { type: 'answer', evidence: null };
        if (asked === 'ticket')
          return { type: 'answer', evidence: await verifyTicket(tx, this.#given, seen.account, answer) };
        const { id, customer } = seen.account;
        const verified = await verifyCode(tx, keys, { account: id, customer, ...caller }, answer);
        login.hasUsedCode = verified === 'used';
        if (verified === 'used' || verified === undefined) return { type: 'answer', evidence: null };
        login.seed = verified.seed;
        login.counted = verified.counted;
        return { type: 'answer', evidence: verified.evidence };
      }
      default:
        return { type: 'none' };
    }
  }

  #step(
    login: Login,
    params: Attempt,
    caller: EdgeCaller,
    event: LoginEvent,
    facts: LoginFacts | null,
    now: number,
  ): { readonly step: LoginStep; readonly outcome: Outcome } {
    const origin = originOf(params, caller, now);
    const rules = { attemptsMax: this.#given.config.limits.loginAttemptsMax, probesMax };
    const { state, step } = stepLogin(login.state, params.username, event, facts, origin, rules);
    login.state = state;
    return { step, outcome: spoken(step) };
  }

  /**
   * Opens the session when every proof has counted. All is checked again, because something may have been withdrawn
   * since.
   */
  async #accept(
    tx: Transaction,
    login: Login,
    params: Attempt,
    caller: EdgeCaller,
    before: AccountFacts,
  ): Promise<Outcome> {
    const { id, customer } = before;
    const credentials = [...login.state.given.values()].filter((one) => one !== null);
    // All other openings wait while the lock is held, and an account may rely on hundreds of rows. So they are verified
    // before it is taken.
    const ahead = await verifiedAhead(tx, this.#given.keys, id, credentials);
    await lockForOpening(tx, { account: id, customer, credentials });
    const usable = await findUsableAmong(tx, credentials, this.#dormantMs);
    const seen = await this.#seeIn(tx, params);
    const allowed = usable.map((one) => one.restrictions);
    const step =
      usable.length === credentials.length
        ? stillOpens(login.state, allowed, seen.facts, originOf(params, caller, seen.now))
        : undefined;
    if (step === undefined || seen.account?.id !== id) return { outcome: 'closed' };
    // The ticket must still be the one that was shown, and not one that was issued since.
    if (login.state.given.has('ticket') && seen.account.ticket?.id !== before.ticket?.id) return { outcome: 'closed' };
    const window = step.usedWindow ? (seen.account.window?.id ?? null) : null;
    const ticket = login.state.given.has('ticket') ? before.ticket : null;
    // Every row on which the session relies must be what the warden wrote, and what two operators wanted where two
    // signatures are required.
    const { broken, rows } = await verifiedBehind(
      tx,
      this.#given.keys,
      { account: id, credentials, window, ticket: ticket?.id ?? null },
      ahead,
    );
    if (broken !== undefined) {
      await alarmBroken(tx, broken, `a login of ${seen.account.name} from ${params.source.address} was refused`);
      return { outcome: 'closed' };
    }
    const shown = {
      account: id,
      credentials,
      names: login.proved,
      passwordHash: login.passwordHash,
      seed: login.seed,
      window,
      ticket,
    };
    const opens = opensByVerified(rows, login.state, shown, seen.facts, originOf(params, caller, seen.now));
    const account = opens && accountOf(rows, id, opens.restrictions.readOnly);
    if (opens === undefined || account === undefined) return { outcome: 'closed' };
    const reachable = [...rows.values()].flatMap((row) => (row.kind === 'customer' ? [row.id] : []));
    return openSession(tx, this.#given.sessions, {
      account: seen.account,
      scope: {
        account,
        ...(opens.purpose === 'transfer'
          ? reachOf(rows, account, await activeCustomers(tx, reachable))
          : { customers: [], start: [] }),
        ticket: ticket?.id ?? null,
      },
      now: seen.now,
      credentials: login.state.given,
      proofs: opens.proofs,
      purpose: opens.purpose,
      restrictions: opens.restrictions,
      window,
      names: namesOfGiven(
        login.state.given,
        (id) => factsOfRow<{ readonly fingerprint: string }>(rows, { kind: 'credential', id })?.fingerprint,
      ),
      params,
      issued: login.issued,
      caller,
      startId: this.#given.startIdOf(caller),
    });
  }

  #expire(): void {
    const oldest = performance.now() - loginMs(this.#given.config.limits) - 10_000;
    for (const [key, login] of this.#open) if (login.startedAt < oldest) this.#forget(key);
  }

  #forget(key: string): void {
    this.#open.get(key)?.release();
    this.#open.delete(key);
  }
}

const originOf = (params: Attempt, caller: EdgeCaller, now: number): AttemptOrigin => ({
  plane: caller.plane,
  source: params.source.address,
  now,
});

/** Notes which credential was shown, and, when the evidence verified, under which name it was proved. */
function proofOf(login: Login, name: string, evidence: VerifiedProof | null): LoginEvent {
  login.shown = name;
  const { credential } = evidence ?? {};
  if (credential) login.proved.set(credential, name);
  return { type: 'proof', evidence };
}
