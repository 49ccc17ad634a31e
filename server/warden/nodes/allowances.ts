// Owns: what each operation makes the warden store, and how much of it one node may.
// Must never: let an operation that stores something run without having taken one of its kind.
import type { NodeAllowances } from '../../config/node-allowances.ts';
import { fullPurse, type Purse, takeOne } from '../../domain/allowance.ts';
import { CofferdamError } from '../../domain/errors.ts';
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

export class NodeAccounts {
  readonly #allowances: NodeAllowances;
  readonly #database: Database;
  readonly #sources: LoginSources;
  readonly #purses = new Map<string, Purse>();
  readonly #told = new Map<string, number>();

  constructor(allowances: NodeAllowances, database: Database, dayMs = 86_400_000) {
    this.#allowances = allowances;
    this.#database = database;
    this.#sources = new LoginSources(database, knownDays * dayMs);
  }

  /** How many addresses and networks are kept in mind. */
  get remembered(): number {
    return this.#sources.remembered;
  }

  /** Takes what this operation stores. Throws `over-limit`, and raises an alarm once a minute, when the node has had it. */
  async take(op: 'login.attempt', caller: EdgeCaller, params: Attempt): Promise<void>;
  async take(op: keyof EdgeToWarden, caller: EdgeCaller, params?: unknown): Promise<void>;
  async take(op: keyof EdgeToWarden, caller: EdgeCaller, params?: unknown): Promise<void> {
    const kind = storedBy[op];
    if (kind === 'nothing' || kind === 'ends-what-began') return;
    // The table of operations has seen that these are the parameters of this one.
    if (kind === 'by-source') return this.#takeLogin(caller, params as Attempt);
    if (!this.#takeOf(kind, caller)) throw await this.#refuse(kind, caller);
  }

  async #takeLogin(caller: EdgeCaller, params: Attempt): Promise<void> {
    if (provesNothing(params)) return;
    const { address } = params.source;
    if (await this.#sources.isKnown(caller.node, address)) {
      if (!this.#takeOf('logins', caller)) throw await this.#refuse('logins', caller);
      return;
    }
    // A network that has had its part is told so in the record of strangers, and is no alarm by itself: everybody else is served.
    if (!this.#sources.takeOfNetwork(caller.node, address, this.#allowances.strangerNetwork)) throw tooMuch();
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
    const now = performance.now();
    const told = this.#told.get(nameOf(node, kind));
    if (told === undefined || now - told > toldEveryMs) {
      this.#told.set(nameOf(node, kind), now);
      await this.#tell(node, kind);
    }
    return tooMuch();
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

const tooMuch = (): CofferdamError => new CofferdamError('over-limit', 'this edge is asked for more than it may do; try again in a minute');
const nameOf = (node: string, kind: Kind): string => `${node}/${kind}`;
