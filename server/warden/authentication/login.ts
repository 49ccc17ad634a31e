// Owns: one login per connection of an edge: which proofs were given, by which user, and what the client hears next.
// Must never: let a proof count for another name, another connection, or a key that was only offered (T-03, T-13).
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { isPostQuantum } from '../../domain/algorithms.ts';
import { evaluate, firstMethods, type Proof } from '../../domain/authentication-policy.ts';
import type { CredentialId } from '../../domain/ids.ts';
import { isValidAccountName } from '../../domain/paths.ts';
import { Secret } from '../../domain/secrets.ts';
import { parseSshPublicKey, signatureAlgorithms } from '../../domain/ssh-keys.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { FullScope } from '../budgets/session-limit-queries.ts';
import type { EdgeCaller, KeyRing } from '../context.ts';
import { countKeyExchange } from '../exchanges/exchange-queries.ts';
import type { Exchanges, Issued } from '../exchanges/exchanges.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { FailureDelay } from './failure-delay.ts';
import {
  type AccountFacts,
  countTicketFailure,
  findAccount,
  findCredential,
  findSeed,
  insertSecondFactor,
  touchCredential,
  useStep,
  useTicket,
} from './login-queries.ts';
import { fingerprintOf, verifyUserSignature } from './ssh-signature.ts';
import { enrolmentUri, matchingSteps, newSeed, seedToBase32 } from './totp.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;
type Outcome = Result<EdgeToWarden, 'login.attempt'>;
type Asked = 'code' | 'ticket' | 'new-code';

type Login = {
  readonly username: string;
  /** The session identifier that every signature of this login must cover. */
  readonly issued: Issued;
  readonly proofs: Set<Proof>;
  credential: CredentialId | null;
  fingerprint: string | null;
  asked: Asked | null;
  newSeed: Secret<Buffer> | null;
  failures: number;
  probes: number;
  closed: boolean;
  readonly startedAt: number;
  queue: Promise<unknown>;
};

const loginsMax = 5000;
const probesMax = 20;
// Not a valid account name: finds nobody, at the same cost.
const nobody = '-';

export type LoginDependencies = {
  readonly config: Config;
  readonly database: Database;
  readonly keys: KeyRing;
  readonly sessions: SessionRegistry;
  readonly exchanges: Exchanges;
  readonly startIdOf: (caller: EdgeCaller) => string;
};

export class Logins {
  readonly #given: LoginDependencies;
  readonly #open = new Map<string, Login>();
  readonly #delay = new FailureDelay();
  readonly #timer: NodeJS.Timeout;

  constructor(given: LoginDependencies) {
    this.#given = given;
    this.#timer = setInterval(() => this.#expire(), 5000);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  abandon(connection: string, caller: EdgeCaller): void {
    this.#open.delete(`${caller.node}/${connection}`);
    this.#given.exchanges.close(caller, connection);
  }

  /** One message of the client. Messages of one connection are decided one after the other. */
  attempt(params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    const key = `${caller.node}/${params.connection}`;
    let login = this.#open.get(key);
    if (login === undefined) {
      // Evidence counts only on a session identifier that was issued to this node for this connection, and is still open.
      const issued = this.#given.exchanges.find(caller, params.connection);
      if (issued === undefined || this.#open.size >= loginsMax) return Promise.resolve({ outcome: 'closed' });
      login = {
        username: params.username,
        issued,
        proofs: new Set(),
        credential: null,
        fingerprint: null,
        asked: null,
        newSeed: null,
        failures: 0,
        probes: 0,
        closed: false,
        startedAt: performance.now(),
        queue: Promise.resolve(),
      };
      this.#open.set(key, login);
    }
    const current = login;
    const result = current.queue.then(() => this.#decide(current, params, caller));
    current.queue = result.catch(() => {});
    return result.then((outcome) => {
      if (outcome.outcome === 'accepted' || outcome.outcome === 'closed' || outcome.outcome === 'full') {
        current.closed = true;
        this.#given.exchanges.close(caller, params.connection);
        if (outcome.outcome === 'accepted') this.#open.delete(key);
      }
      return outcome;
    });
  }

  async #decide(login: Login, params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    if (login.closed || params.username !== login.username) return { outcome: 'closed' };
    const { evidence } = params;
    if (evidence.type === 'none')
      return login.probes++ < probesMax ? { outcome: 'refused', methods: [...firstMethods] } : { outcome: 'closed' };
    if (evidence.type === 'public-key-probe') return this.#probe(login, evidence, caller);
    const delayKey = `${params.username}/${params.source.address}`;
    await this.#delay.wait(delayKey);
    const outcome = await this.#given.database.withSystem(async (tx) => {
      const account = await this.#eligible(tx, params, caller);
      switch (evidence.type) {
        case 'public-key':
          return this.#publicKey(tx, login, account, params, evidence, caller);
        case 'keyboard-interactive':
          return this.#ask(login, account);
        case 'answers':
          return this.#answers(tx, login, account, params, evidence.answers, caller);
        case 'password':
          return refused(login);
      }
    });
    if (outcome.outcome === 'accepted') this.#delay.succeeded(delayKey);
    if (outcome.outcome !== 'refused') return outcome;
    login.failures += 1;
    this.#delay.failed(delayKey);
    await this.#recordFailure(login, params, caller);
    return login.failures >= this.#given.config.limits.loginAttemptsMax ? { outcome: 'closed' } : outcome;
  }

  #probe(login: Login, evidence: { readonly algorithm: string; readonly key: string }, caller: EdgeCaller): Outcome {
    login.probes += 1;
    if (login.probes > probesMax) return { outcome: 'closed' };
    try {
      const profile = this.#given.exchanges.profileOf(caller);
      const key = parseSshPublicKey(Buffer.from(evidence.key, 'base64'), profile.rsaBitsMin);
      const fits = signatureAlgorithms(key).includes(evidence.algorithm) && profile.userSignatures.includes(evidence.algorithm);
      return fits ? { outcome: 'key-acceptable' } : { outcome: 'refused', methods: [...firstMethods] };
    } catch {
      return { outcome: 'refused', methods: [...firstMethods] };
    }
  }

  /** The account when a session of it may be opened here and from there at all; the look-up happens for every name. */
  async #eligible(tx: Transaction, params: Attempt, caller: EdgeCaller): Promise<AccountFacts | undefined> {
    const name = isValidAccountName(params.username) ? params.username : nobody;
    const account = await findAccount(tx, name, params.source.address);
    return account !== undefined && account.name === params.username && account.inOrder && account.plane === caller.plane
      ? account
      : undefined;
  }

  async #publicKey(
    tx: Transaction,
    login: Login,
    account: AccountFacts | undefined,
    params: Attempt,
    evidence: Extract<Attempt['evidence'], { type: 'public-key' }>,
    caller: EdgeCaller,
  ): Promise<Outcome> {
    const keyBlob = Buffer.from(evidence.key, 'base64');
    const isValid = verifyUserSignature({
      username: params.username,
      algorithm: evidence.algorithm,
      keyBlob,
      signatureBlob: Buffer.from(evidence.signature, 'base64'),
      sessionIdentifier: login.issued.sessionIdentifier,
      profile: this.#given.exchanges.profileOf(caller),
    });
    login.fingerprint = fingerprintOf(keyBlob);
    if (!isValid || account === undefined) return refused(login);
    const credential = await findCredential(tx, account.id, keyBlob);
    if (credential === undefined) return refused(login);
    // A second key on the same connection would mix two credentials into one login.
    if (login.credential !== null && login.credential !== credential) return refused(login);
    login.credential = credential;
    login.proofs.add('public-key');
    return this.#conclude(tx, login, account, params, caller);
  }

  #ask(login: Login, account: AccountFacts | undefined): Outcome {
    if (account === undefined || !login.proofs.has('public-key')) return refused(login);
    login.newSeed = null;
    login.asked = !account.hasSecondFactor && account.ticket !== null ? 'ticket' : 'code';
    return prompt(login.asked === 'ticket' ? 'Enrolment ticket: ' : 'Verification code: ');
  }

  async #answers(
    tx: Transaction,
    login: Login,
    account: AccountFacts | undefined,
    params: Attempt,
    answers: readonly string[],
    caller: EdgeCaller,
  ): Promise<Outcome> {
    const asked = login.asked;
    const [answer] = answers;
    login.asked = null;
    if (account === undefined || asked === null || answer === undefined || answers.length !== 1 || !login.proofs.has('public-key'))
      return refused(login);
    if (asked === 'code')
      return (await this.#codeIsGood(tx, account, answer)) ? this.#secondFactor(tx, login, account, params, caller) : refused(login);
    if (asked === 'ticket') return this.#ticket(tx, login, account, answer);
    return this.#enrol(tx, login, account, answer, params, caller);
  }

  async #codeIsGood(tx: Transaction, account: AccountFacts, code: string): Promise<boolean> {
    const row = await findSeed(tx, account.id);
    if (row === undefined) return false;
    const seed = this.#given.keys.openSecret('totp', account.id, row.sealed, row.sealedBy);
    for (const step of matchingSteps(seed, code, Date.now() / 1000)) if (await useStep(tx, account.id, step)) return true;
    return false;
  }

  /** Right ticket: a fresh seed is shown to its holder, once; it counts when a code made from it comes back. */
  async #ticket(tx: Transaction, login: Login, account: AccountFacts, answer: string): Promise<Outcome> {
    if (account.ticket === null || account.hasSecondFactor) return refused(login);
    const given = createHash('sha256').update(answer.trim()).digest();
    if (!timingSafeEqual(given, account.ticket.hash)) {
      await countTicketFailure(tx, account.ticket.id);
      return refused(login);
    }
    const seed = newSeed();
    login.newSeed = new Secret(seed);
    login.asked = 'new-code';
    return prompt(
      'Code from your authenticator: ',
      `Add this account to your authenticator application, then type the code it shows.\n\n  ${enrolmentUri(account.name, seed)}\n\n  Secret: ${seedToBase32(seed)}\n\nIt is shown this once.\n`,
    );
  }

  async #enrol(tx: Transaction, login: Login, account: AccountFacts, code: string, params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    const seed = login.newSeed?.reveal();
    login.newSeed = null;
    if (seed === undefined || account.ticket === null) return refused(login);
    const [step] = matchingSteps(seed, code, Date.now() / 1000);
    if (step === undefined) return refused(login);
    const { sealed, sealedBy } = this.#given.keys.sealSecret('totp', account.id, seed);
    const isFirst =
      (await useTicket(tx, account.ticket.id)) &&
      (await insertSecondFactor(tx, account.id, sealed, sealedBy)) &&
      (await useStep(tx, account.id, step));
    if (!isFirst) return refused(login);
    await record(tx, {
      kind: 'second-factor.enrolled',
      customer: account.customer,
      account: account.id,
      node: caller.node,
      observer: 'warden',
    });
    return this.#secondFactor(tx, login, account, params, caller);
  }

  #secondFactor(tx: Transaction, login: Login, account: AccountFacts, params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    login.proofs.add('totp');
    return this.#conclude(tx, login, account, params, caller);
  }

  async #conclude(tx: Transaction, login: Login, account: AccountFacts, params: Attempt, caller: EdgeCaller): Promise<Outcome> {
    const proofs = new Set(login.proofs);
    if (account.windowOpen) proofs.add('activation-window');
    const decision = evaluate(account.kind, proofs, true);
    if (decision.outcome === 'refused' || login.credential === null) return refused(login);
    if (decision.outcome === 'partial') return { outcome: 'partial', methods: [...decision.methods] };
    const { sessions, startIdOf, config } = this.#given;
    const opened = await sessions.open(tx, {
      account,
      customer: account.customer,
      credential: login.credential,
      caller,
      startId: startIdOf(caller),
      source: params.source,
      client: params.clientIdentification,
      issued: login.issued,
    });
    if ('full' in opened) return this.#full(tx, login, account, params, caller, opened.full);
    await touchCredential(tx, login.credential);
    await countKeyExchange(tx, account.id, isPostQuantum(login.issued.keyExchange), params.clientIdentification);
    await record(tx, {
      kind: 'session.opened',
      customer: account.customer,
      account: account.id,
      session: opened.id,
      node: caller.node,
      observer: 'warden',
      public: {
        proofs: [...proofs].sort(),
        plane: caller.plane,
        keyExchange: login.issued.keyExchange,
        hostKey: login.issued.hostKeyAlgorithm,
      },
      sensitive: { fingerprint: login.fingerprint, source: params.source, client: params.clientIdentification, sourceObservedBy: 'edge' },
    });
    const { sessionAbsoluteLifeMs: absoluteLifeMs, sessionIdleLifeMs: idleLifeMs } = config.limits;
    return {
      outcome: 'accepted',
      session: { id: opened.id, token: opened.token, account: account.name, kind: account.kind, absoluteLifeMs, idleLifeMs },
    };
  }

  /** All proofs were given, and one of the account's scopes has no room for one more session. */
  async #full(
    tx: Transaction,
    login: Login,
    account: AccountFacts,
    params: Attempt,
    caller: EdgeCaller,
    full: FullScope,
  ): Promise<Outcome> {
    const facts = { scope: full.scope, sessionsMax: full.sessionsMax };
    await record(tx, {
      kind: 'session.refused',
      customer: account.customer,
      account: account.id,
      node: caller.node,
      observer: 'warden',
      public: facts,
      sensitive: { fingerprint: login.fingerprint, source: params.source, client: params.clientIdentification, sourceObservedBy: 'edge' },
    });
    await insertAlert(tx, {
      kind: 'session.refused',
      severity: 'warning',
      subject: `${full.scope}/${account.id}`,
      customer: account.customer,
      account: account.id,
      text: `${account.name} was refused a session: its ${full.scope} has ${full.sessionsMax} open at once, which is the most`,
      facts: { account: account.name, ...facts },
      nextCommand: 'cofferctl session list',
      contactText: `A login of your account ${account.name} was refused: too many sessions at once.`,
    });
    return { outcome: 'full' };
  }

  /** One entry a refusal, in its own transaction: the one that refused may have been rolled back. Names of strangers are not kept. */
  async #recordFailure(login: Login, params: Attempt, caller: EdgeCaller): Promise<void> {
    await this.#given.database.withSystem(async (tx) => {
      const account = isValidAccountName(params.username) ? await findAccount(tx, params.username, params.source.address) : undefined;
      if (account === undefined) return;
      await record(tx, {
        kind: 'login.refused',
        customer: account.customer,
        account: account.id,
        node: caller.node,
        observer: 'warden',
        public: { evidence: params.evidence.type, proofs: [...login.proofs].sort() },
        sensitive: { fingerprint: login.fingerprint, source: params.source, client: params.clientIdentification, sourceObservedBy: 'edge' },
      });
    });
  }

  #expire(): void {
    const oldest = performance.now() - this.#given.config.limits.loginGraceMs - 10_000;
    for (const [key, login] of this.#open) if (login.startedAt < oldest) this.#open.delete(key);
  }
}

/** The same words for every reason. What counted so far decides the methods that remain, nothing else. */
function refused(login: Login): Outcome {
  return { outcome: 'refused', methods: login.proofs.has('public-key') ? ['keyboard-interactive'] : [...firstMethods] };
}

function prompt(text: string, instruction = ''): Outcome {
  return { outcome: 'prompt', name: '', instruction, prompts: [{ text, echo: false }] };
}
