// Owns: what each operation makes the warden store, and how much of it one node may.
// Must never: let an operation that stores something run without having taken one of its kind.
import type { NodeAllowances } from '../../config/node-allowances.ts';
import { fullPurse, type Purse, takeOne } from '../../domain/allowance.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { EdgeCaller } from '../context.ts';

type Kind = keyof NodeAllowances;
/** No row is new: it looks, or it steers in memory. */
type Stores = Kind | 'nothing' | 'ends-what-began';

/** `ends-what-began`: at most once for each thing that was opened, and opening took one. */
export const storedBy: { readonly [K in keyof EdgeToWarden]: Stores } = {
  'node.hello': 'runs',
  'lease.renew': 'nothing',
  // Signatures have a rate of their own (exchanges.ts) and leave no row.
  'exchange.sign': 'nothing',
  'exchange.prove-host-keys': 'nothing',
  'login.attempt': 'logins',
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
  readonly #purses = new Map<string, Purse>();
  readonly #told = new Map<string, number>();

  constructor(allowances: NodeAllowances, database: Database) {
    this.#allowances = allowances;
    this.#database = database;
  }

  /** Takes what this operation stores. Throws `over-limit`, and raises an alarm once a minute, when the node has had it. */
  async take(op: keyof EdgeToWarden, { node }: EdgeCaller): Promise<void> {
    const kind = storedBy[op];
    if (kind === 'nothing' || kind === 'ends-what-began') return;
    const name = nameOf(node, kind);
    const now = performance.now();
    const purse = this.#purses.get(name) ?? fullPurse(this.#allowances[kind], now);
    this.#purses.set(name, purse);
    if (takeOne(purse, this.#allowances[kind], now)) return;
    const told = this.#told.get(name);
    if (told === undefined || now - told > toldEveryMs) {
      this.#told.set(name, now);
      await this.#tell(node, kind);
    }
    throw new CofferdamError('over-limit', 'this edge is asked for more than it may do; try again in a minute');
  }

  async #tell(node: string, kind: Kind): Promise<void> {
    const { atOnce, perMinute } = this.#allowances[kind];
    await this.#database.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: 'critical',
        subject: nameOf(node, kind),
        text: `${node} makes the warden store more than an edge may: ${words[kind]}, ${atOnce} at once and ${perMinute} a minute; further ones are refused`,
        facts: { node, kind, atOnce, perMinute },
        nextCommand: `cofferctl incident scope --node ${node}`,
      }),
    );
  }
}

const nameOf = (node: string, kind: Kind): string => `${node}/${kind}`;
