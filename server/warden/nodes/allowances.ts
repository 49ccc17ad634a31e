// Owns: how much each operation makes the warden store, sign or hash, and how much of it one node may cause.
// Must never: let an operation run without taking from the allowance that it uses, or take from an allowance for
// something that was not done.
import type { NodeAllowances } from '../../config/node-allowances.ts';
import { neighbourhoodOf } from '../../domain/addresses.ts';
import { type Allowance, fullPurse, type Purse, Purses, partOf, takeOne } from '../../domain/allowance.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { knownDays } from '../guesses/penalties.ts';
import { LoginSources, provesNothing } from './login-sources.ts';

type Kind = keyof NodeAllowances;
/** What an operation uses up. `nothing`: it adds no row; it reads, or it changes what exists already. */
type Stores = Kind | 'nothing' | 'ends-what-began' | 'by-source' | 'by-exchange' | 'by-key' | 'when-new';
type Attempt = Params<EdgeToWarden, 'login.attempt'>;
type Exchange = Params<EdgeToWarden, 'exchange.sign'>;

/**
 * What each operation uses up.
 *
 * - `ends-what-began`: it happens at most once for each thing that was opened, and the opening was taken from an
 *   allowance.
 * - `by-source`: a message that proves something takes one of `logins` if it comes from a known source, and otherwise
 *   one of `strangers`. A message that proves nothing stores nothing and takes nothing.
 * - `by-exchange`: it takes one signature, from the allowance of known sources, of strangers, or of connections that
 *   exist already.
 * - `by-key`: it takes one proof for each host key that is named.
 * - `when-new`: the use case takes one itself (`whenNew`) when it has found that it stores something.
 */
export const storedBy: { readonly [K in keyof EdgeToWarden]: Stores } = {
  'node.hello': 'when-new',
  'lease.renew': 'nothing',
  'exchange.sign': 'by-exchange',
  'exchange.prove-host-keys': 'by-key',
  'login.attempt': 'by-source',
  'login.abandon': 'ends-what-began',
  'session.end': 'ends-what-began',
  'console.run': 'console',
  'console.input': 'console',
  'self-test.begin': 'selfTestKeys',
  'self-test.code': 'nothing',
  'self-test.report': 'verdicts',
  'tree.stat': 'nothing',
  'tree.space': 'nothing',
  'tree.list': 'names',
  'tree.remove': 'names',
  'tree.rename': 'names',
  'tree.make-directory': 'names',
  'tree.remove-directory': 'names',
  'tree.set-times': 'names',
  'upload.open': 'names',
  'upload.offer': 'names',
  'upload.begin': 'names',
  'upload.put': 'ends-what-began',
  'upload.rewrite': 'names',
  'upload.begin-extent': 'extents',
  'upload.seal-extent': 'extents',
  'upload.verify-extent': 'extents',
  'upload.base-extent': 'extents',
  'upload.close': 'ends-what-began',
  'upload.interrupt': 'ends-what-began',
  'download.open': 'names',
  'download.locate': 'nothing',
  'download.grant': 'extents',
  // This operation writes one row for each budget that has a rate, however often it is called.
  'flow.permit': 'nothing',
  'download.close': 'ends-what-began',
};

/**
 * The operations of an upload that is under way. They are admitted even when the record has little room: bytes that
 * were acknowledged to a client must be stored, and the content that an upload goes on from must be read back for that.
 */
const written: readonly (keyof EdgeToWarden)[] = [
  'upload.begin-extent',
  'upload.seal-extent',
  'upload.rewrite',
  'upload.verify-extent',
  'upload.base-extent',
];
const recorded: readonly Stores[] = ['by-source', 'console', 'selfTestKeys', 'verdicts', 'names', 'extents'];
/**
 * Returns whether this operation adds to the record something that no work under way needs. Such an operation begins
 * only when the record has room for it.
 */
export const beginsAnEntry = (op: keyof EdgeToWarden): boolean =>
  recorded.includes(storedBy[op]) && !written.includes(op);

/** What an alert says of each kind. */
const words: Readonly<Record<Kind, string>> = {
  runs: 'starts of the node',
  logins: 'login messages',
  strangers: 'login messages of strangers',
  strangerNetwork: 'login messages of one network of strangers',
  strangerHashes: 'passwords of strangers to hash',
  signatures: 'key exchanges to sign',
  strangerSignatures: 'key exchanges of strangers to sign',
  rekeys: 'further key exchanges to sign',
  proofs: 'proofs of host keys to sign',
  selfTestKeys: 'keys for its self-test',
  verdicts: 'reports of its self-test',
  console: 'lines of the console',
  names: 'names listed, changed or opened',
  extents: 'extents begun, sealed or read',
};
const toldEveryMs = 60_000;
/**
 * One account of a customer may use 1/`accountPart` of each allowance. All accounts of a customer together, or one
 * internal account, may use 1/`customerPart`.
 */
const accountPart = 8;
const customerPart = 4;
/**
 * One network may use 1/`networkPart` of the passwords and key exchanges of strangers, and of the key exchanges of
 * existing connections. The login messages of one network have an allowance of their own (`strangerNetwork`).
 */
const networkPart = 4;
/**
 * A node that reaches one of these limits is flooded by strangers. An honest edge does not reach another limit of a
 * node.
 */
const floods: readonly Kind[] = ['strangers', 'strangerHashes', 'strangerSignatures'];
const partsMax = 16_384;

/**
 * The account that is charged for a call: the holder of the session that makes it. `customer` is null for an internal
 * account, which serves many customers.
 */
export type Payer = { readonly customer: CustomerId | null; readonly account: AccountId; readonly name: string };
type Given = {
  /**
   * Returns the account of a session of the caller if this process has the session in memory. For other sessions
   * nothing is known before their row is read.
   */
  readonly payerOf?: (token: string, caller: EdgeCaller) => Payer | undefined;
  readonly dayMs?: number;
};

export class UsedAllowances {
  readonly #allowances: NodeAllowances;
  readonly #database: Database;
  readonly #payerOf: NonNullable<Given['payerOf']>;
  readonly #sources: LoginSources;
  readonly #purses = new Map<string, Purse>();
  readonly #parts = new Purses(partsMax);
  readonly #told = new Map<string, number>();

  constructor(
    allowances: NodeAllowances,
    database: Database,
    { payerOf = () => undefined, dayMs = 86_400_000 }: Given = {},
  ) {
    this.#allowances = allowances;
    this.#database = database;
    this.#payerOf = payerOf;
    this.#sources = new LoginSources(database, knownDays * dayMs);
  }

  /**
   * Takes what this operation uses up. Throws `over-limit`, and raises an alert at most once a minute, when the node or
   * the account that asks has used up its allowance.
   */
  async take(op: keyof EdgeToWarden, caller: EdgeCaller, params: unknown = {}): Promise<void> {
    const kind = storedBy[op];
    if (kind === 'nothing' || kind === 'ends-what-began' || kind === 'when-new') return;
    // The table of operations has verified that these are the parameters of this operation.
    if (kind === 'by-source') return this.#takeLogin(caller, params as Attempt);
    if (kind === 'by-exchange') return this.#takeExchange(caller, params as Exchange);
    if (kind === 'by-key') return this.#takeProofs(caller, params as Params<EdgeToWarden, 'exchange.prove-host-keys'>);
    await this.#takeOne(kind, caller, params);
  }

  async #takeOne(kind: Kind, caller: EdgeCaller, params: unknown): Promise<void> {
    const { token } = params as { readonly token?: unknown };
    const payer = typeof token === 'string' ? this.#payerOf(token, caller) : undefined;
    if (payer !== undefined && !this.#takePart(kind, caller, payer)) throw await this.#refusePart(kind, caller, payer);
    if (!this.#takeOf(kind, caller)) throw await this.#refuse(kind, caller);
  }

  /**
   * Runs `work`, which calls `take` when it has found that it stores something. When the allowance is used up, `take`
   * throws, so that the transaction of `work` is undone; the alert is raised after that, when no connection is held any
   * more.
   */
  async whenNew<T>(kind: Kind, caller: EdgeCaller, work: (take: () => void) => Promise<T>): Promise<T> {
    let isRefused = false;
    try {
      return await work(() => {
        isRefused = !this.#takeOf(kind, caller);
        if (isRefused) throw tooMuch('this server or your network');
      });
    } catch (error) {
      throw isRefused ? await this.#refuse(kind, caller) : error;
    }
  }

  /**
   * Takes one from the allowance for the passwords of strangers, for a sender that has not logged in from this address.
   * Returns false, and raises an alert, when it is used up. Whether anybody has the user name plays no part in it.
   */
  async mayHash(caller: EdgeCaller, address: string): Promise<boolean> {
    if (this.#takeOfStranger('strangerHashes', caller, address)) return true;
    await this.#refuse('strangerHashes', caller);
    return false;
  }

  /**
   * Takes one from the part of the account and, for a customer's account, from the part of all accounts of that
   * customer. Each account has a part of its own, so that a colleague can still lock an account that is being misused.
   */
  #takePart(kind: Kind, { node }: EdgeCaller, { customer, account }: Payer): boolean {
    const now = performance.now();
    const take = (holder: string, divisor: number): boolean =>
      this.#parts.take(`${nameOf(node, kind)}/${holder}`, partOf(this.#allowances[kind], divisor), now);
    return customer === null ? take(account, customerPart) : take(account, accountPart) && take(customer, customerPart);
  }

  async #takeLogin(caller: EdgeCaller, params: Attempt): Promise<void> {
    if (provesNothing(params)) return;
    const { address } = params.source;
    if (await this.#sources.isKnown(caller, address)) {
      if (!this.#takeOf('logins', caller)) throw await this.#refuse('logins', caller);
      return;
    }
    // When a network has used up its part, the record of strangers shows it. It is no alert by itself, because
    // everybody else is served.
    if (!this.#sources.takeOfNetwork(caller.node, address, this.#allowances.strangerNetwork))
      throw tooMuch('this server or your network');
    if (!this.#takeOf('strangers', caller)) throw await this.#refuse('strangers', caller);
  }

  async #takeProofs(caller: EdgeCaller, params: Params<EdgeToWarden, 'exchange.prove-host-keys'>): Promise<void> {
    for (const _ of params.hostKeys) await this.#takeOne('proofs', caller, params);
  }

  async #takeExchange(caller: EdgeCaller, { isFirst, source: { address } }: Exchange): Promise<void> {
    if (!isFirst) {
      if (!this.#takeOfNetwork('rekeys', caller, address)) throw await this.#refuseNetwork('rekeys', caller, address);
      if (!this.#takeOf('rekeys', caller)) throw await this.#refuse('rekeys', caller);
      return;
    }
    // As long as the allowance of strangers lasts, no address is looked up, so that a key exchange alone costs no
    // transaction.
    if (this.#sources.recall(caller, address) !== true && this.#takeOfStranger('strangerSignatures', caller, address))
      return;
    if (!(await this.#sources.isKnown(caller, address))) throw await this.#refuse('strangerSignatures', caller);
    if (!this.#takeOf('signatures', caller)) throw await this.#refuse('signatures', caller);
  }

  #takeOfStranger(kind: Kind, caller: EdgeCaller, address: string): boolean {
    return this.#takeOfNetwork(kind, caller, address) && this.#takeOf(kind, caller);
  }

  #takeOfNetwork(kind: Kind, { node }: EdgeCaller, address: string): boolean {
    const network = `${nameOf(node, kind)}/${neighbourhoodOf(address)}`;
    return this.#parts.take(network, partOf(this.#allowances[kind], networkPart), performance.now());
  }

  #takeOf(kind: Kind, { node }: EdgeCaller): boolean {
    const name = nameOf(node, kind);
    const now = performance.now();
    const purse = this.#purses.get(name) ?? fullPurse(this.#allowances[kind], now);
    this.#purses.set(name, purse);
    return takeOne(purse, this.#allowances[kind], now);
  }

  async #refuse(kind: Kind, { node }: EdgeCaller): Promise<CofferdamError> {
    await this.#once(nameOf(node, kind), (tx) => tell(tx, node, kind, this.#allowances[kind]));
    return tooMuch('this server or your network');
  }

  async #refusePart(kind: Kind, { node }: EdgeCaller, payer: Payer): Promise<CofferdamError> {
    const subject = `${nameOf(node, kind)}/${payer.account}`;
    await this.#once(subject, (tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: 'warning',
        subject,
        customer: payer.customer,
        account: payer.account,
        text: `${payer.name} has used up the allowance of one account, or of its whole customer, on ${node}: ${words[kind]}; others are served`,
        facts: { node, kind, account: payer.name },
        nextCommand: `cofferctl ledger search --account ${payer.name} --since 1h`,
      }),
    );
    return tooMuch('your account or your organisation');
  }

  /**
   * Raises the alert that a network asks for too much, and returns the error. Its cause is clients there, or an edge
   * that only claims them; everybody else is served, so it is no critical alert about the edge.
   */
  async #refuseNetwork(kind: Kind, { node }: EdgeCaller, address: string): Promise<CofferdamError> {
    const network = neighbourhoodOf(address);
    const { atOnce, perMinute } = partOf(this.#allowances[kind], networkPart);
    await this.#once(`${nameOf(node, kind)}/${network}`, (tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: 'warning',
        subject: `${nameOf(node, kind)}/${network}`,
        text: `clients at ${network} have used up the allowance of one network on ${node}: ${words[kind]}, at most ${atOnce} at once and ${perMinute} a minute; others are served`,
        facts: { node, kind, network, source: address },
        nextCommand: `cofferctl session list`,
      }),
    );
    return tooMuch('this server or your network');
  }

  /**
   * Raises an alert at most once a minute for each subject. When it could not be written, the next call tries again.
   */
  async #once(subject: string, say: (tx: Transaction) => Promise<void>): Promise<void> {
    const now = performance.now();
    if (now - (this.#told.get(subject) ?? Number.NEGATIVE_INFINITY) <= toldEveryMs) return;
    this.#told.delete(subject);
    this.#told.set(subject, now);
    const [oldest] = this.#told.size > partsMax ? this.#told.keys() : [];
    if (oldest !== undefined) this.#told.delete(oldest);
    try {
      await this.#database.withSystem(say);
    } catch (error) {
      this.#told.delete(subject);
      throw error;
    }
  }
}

function tell(tx: Transaction, node: string, kind: Kind, { atOnce, perMinute }: Allowance): Promise<void> {
  const much = `${words[kind]}, at most ${atOnce} at once and ${perMinute} a minute; further ones are refused`;
  const isFlood = floods.includes(kind);
  return insertAlert(tx, {
    kind: 'node.over-allowance',
    severity: isFlood ? 'warning' : 'critical',
    subject: nameOf(node, kind),
    text: isFlood
      ? `strangers flood ${node}: ${much}; known sources, from which somebody has logged in, are still served`
      : `${node} exceeds the allowance of an edge: ${much}`,
    facts: { node, kind, atOnce, perMinute },
    nextCommand: isFlood ? 'cofferctl ledger search --kind login.strangers' : `cofferctl incident scope --node ${node}`,
  });
}

const tooMuch = (who: 'this server or your network' | 'your account or your organisation'): CofferdamError =>
  new CofferdamError('over-limit', `${who} is at its limit; try again in a minute`);
const nameOf = (node: string, kind: Kind): string => `${node}/${kind}`;
