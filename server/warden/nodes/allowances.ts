// Owns: what each operation makes the warden store, and how much of it one node may.
// Must never: let an operation that stores something run without having taken one of its kind.
import type { NodeAllowances } from '../../config/node-allowances.ts';
import { fullPurse, type Purse, Purses, partOf, takeOne } from '../../domain/allowance.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { knownDays } from '../authentication/penalties.ts';
import type { EdgeCaller } from '../context.ts';
import { LoginSources, provesNothing } from './login-sources.ts';

type Kind = keyof NodeAllowances;
/** No row is new: it looks, or it steers in memory. */
type Stores = Kind | 'nothing' | 'ends-what-began' | 'by-source';
type Attempt = Params<EdgeToWarden, 'login.attempt'>;

/**
 * `ends-what-began`: at most once for each thing that was opened, and opening took one. `by-source`: whatever proves something takes one of `logins` where
 * people log in from, otherwise one of `strangers`; what proves nothing stores nothing, and takes nothing.
 */
export const storedBy: { readonly [K in keyof EdgeToWarden]: Stores } = {
  'node.hello': 'runs',
  'lease.renew': 'nothing',
  // Signatures have a rate of their own (exchanges.ts) and leave no row.
  'exchange.sign': 'nothing',
  'exchange.prove-host-keys': 'nothing',
  'login.attempt': 'by-source',
  'login.abandon': 'ends-what-began',
  'session.end': 'ends-what-began',
  'console.run': 'console',
  'console.input': 'console',
  'self-test.begin': 'selfTestKeys',
  'self-test.code': 'nothing',
  'self-test.report': 'verdicts',
  'tree.stat': 'nothing',
  'tree.list': 'names',
  'tree.remove': 'names',
  'tree.rename': 'names',
  'tree.make-directory': 'names',
  'tree.remove-directory': 'names',
  'tree.set-times': 'names',
  'upload.open': 'names',
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
  // One row for each budget that has a rate, however often it is asked.
  'flow.permit': 'nothing',
  'download.close': 'ends-what-began',
};

const words: Readonly<Record<Kind, string>> = {
  runs: 'hellos of new runs',
  logins: 'messages of logins',
  strangers: 'messages of logins by strangers',
  strangerNetwork: 'messages of logins of one network of strangers',
  selfTestKeys: 'keys for its self-test',
  verdicts: 'reports of its self-test',
  console: 'lines of the console',
  names: 'names listed, changed or opened',
  extents: 'extents begun, sealed or read',
};
const toldEveryMs = 60_000;
/** One of so many parts of each purse is what one account of a customer may take; what all of a customer, or an account of our own, may. */
const accountPart = 8;
const customerPart = 4;
const partsMax = 16_384;

/** Whose session it is that asks. `customer` is null for an account of our own, which serves many. */
export type Payer = { readonly customer: CustomerId | null; readonly account: AccountId; readonly name: string };
type Given = {
  /** The payer of a session that this process has in mind; of another one nothing is known before its row is read. */
  readonly payerOf?: (token: string) => Payer | undefined;
  readonly dayMs?: number;
};

export class NodeAccounts {
  readonly #allowances: NodeAllowances;
  readonly #database: Database;
  readonly #payerOf: NonNullable<Given['payerOf']>;
  readonly #sources: LoginSources;
  readonly #purses = new Map<string, Purse>();
  readonly #parts = new Purses(partsMax);
  readonly #told = new Map<string, number>();

  constructor(allowances: NodeAllowances, database: Database, { payerOf = () => undefined, dayMs = 86_400_000 }: Given = {}) {
    this.#allowances = allowances;
    this.#database = database;
    this.#payerOf = payerOf;
    this.#sources = new LoginSources(database, knownDays * dayMs);
  }

  /** Takes what this operation stores. Throws `over-limit`, and raises an alarm once a minute, when the node, or who asks, has had it. */
  async take(op: keyof EdgeToWarden, caller: EdgeCaller, params: unknown = {}): Promise<void> {
    const kind = storedBy[op];
    if (kind === 'nothing' || kind === 'ends-what-began') return;
    // The table of operations has seen that these are the parameters of this one.
    if (kind === 'by-source') return this.#takeLogin(caller, params as Attempt);
    const { token } = params as { readonly token?: unknown };
    const payer = typeof token === 'string' ? this.#payerOf(token) : undefined;
    if (payer !== undefined && !this.#takePart(kind, caller, payer)) throw await this.#refusePart(kind, caller, payer);
    if (!this.#takeOf(kind, caller)) throw await this.#refuse(kind, caller);
  }

  /** Each account has a part, so that a colleague can still lock it; and all of a customer together. */
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
    // A network that has had its part is told so in the record of strangers, and is no alarm by itself: everybody else is served.
    if (!this.#sources.takeOfNetwork(caller.node, address, this.#allowances.strangerNetwork)) throw tooMuch('this edge is asked');
    if (!this.#takeOf('strangers', caller)) throw await this.#refuse('strangers', caller);
  }

  #takeOf(kind: Kind, { node }: EdgeCaller): boolean {
    const name = nameOf(node, kind);
    const now = performance.now();
    const purse = this.#purses.get(name) ?? fullPurse(this.#allowances[kind], now);
    this.#purses.set(name, purse);
    return takeOne(purse, this.#allowances[kind], now);
  }

  async #refuse(kind: Kind, { node }: EdgeCaller): Promise<CofferdamError> {
    if (this.#isDue(nameOf(node, kind))) await this.#tell(node, kind);
    return tooMuch('this edge is asked');
  }

  async #refusePart(kind: Kind, { node }: EdgeCaller, payer: Payer): Promise<CofferdamError> {
    const subject = `${nameOf(node, kind)}/${payer.account}`;
    if (this.#isDue(subject))
      await this.#database.withSystem((tx) =>
        insertAlert(tx, {
          kind: 'node.over-allowance',
          severity: 'warning',
          subject,
          customer: payer.customer,
          account: payer.account,
          text: `${payer.name} asks ${node} for more than one account may, or all of its customer: ${words[kind]}; others are served`,
          facts: { node, kind, account: payer.name },
          nextCommand: `cofferctl session list --account ${payer.name}`,
        }),
      );
    return tooMuch('you ask');
  }

  #isDue(subject: string): boolean {
    const now = performance.now();
    if (now - (this.#told.get(subject) ?? Number.NEGATIVE_INFINITY) <= toldEveryMs) return false;
    this.#told.delete(subject);
    this.#told.set(subject, now);
    const [oldest] = this.#told.size > partsMax ? this.#told.keys() : [];
    if (oldest !== undefined) this.#told.delete(oldest);
    return true;
  }

  async #tell(node: string, kind: Kind): Promise<void> {
    const { atOnce, perMinute } = this.#allowances[kind];
    const much = `${words[kind]}, ${atOnce} at once and ${perMinute} a minute; further ones are refused`;
    const isFlood = kind === 'strangers';
    await this.#database.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: isFlood ? 'warning' : 'critical',
        subject: nameOf(node, kind),
        text: isFlood
          ? `strangers flood ${node}: ${much}, and those that people log in from are served`
          : `${node} makes the warden store more than an edge may: ${much}`,
        facts: { node, kind, atOnce, perMinute },
        nextCommand: isFlood ? 'cofferctl ledger search --kind login.strangers' : `cofferctl incident scope --node ${node}`,
      }),
    );
  }
}

const tooMuch = (who: 'this edge is asked' | 'you ask'): CofferdamError =>
  new CofferdamError('over-limit', `${who} for more than ${who === 'you ask' ? 'one account' : 'it'} may do; try again in a minute`);
const nameOf = (node: string, kind: Kind): string => `${node}/${kind}`;
