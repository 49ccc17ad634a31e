// Owns: from where a login's message comes: a place that people log in from, or a stranger's, and what each network of strangers has taken (T-19, T-35).
// Must never: grow with the number of addresses, or believe one edge about the places of another.
import { neighbourhoodOf, sourceOf } from '../../domain/addresses.ts';
import { type Allowance, Purses } from '../../domain/allowance.ts';
import type { NodeName } from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import type { EdgeCaller } from '../context.ts';
import { testerOf } from '../self-test/tester.ts';
import { isSourceKnownAt } from './node-queries.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;

/** More are not kept in mind: the oldest goes, and is looked up again. */
const rememberedMax = 4096;
/** How long a look-up is believed. A place becomes known with its first login: a second later it is treated so. */
const believedMs = { known: 60_000, stranger: 1000 };

/** It asks what would be worth trying, and leaves no row whatever the answer is. */
export const provesNothing = ({ evidence }: Pick<Attempt, 'evidence'>): boolean =>
  evidence.type === 'none' || evidence.type === 'public-key-probe';

export class LoginSources {
  readonly #database: Database;
  readonly #withinMs: number;
  /** Insertion order = age. */
  readonly #known = new Map<string, { readonly isKnown: boolean; readonly until: number }>();
  readonly #networks: Purses;
  readonly #max: number;

  /** `withinMs`: a place from which nobody has logged in for so long is a stranger's again. */
  constructor(database: Database, withinMs: number, max = rememberedMax) {
    this.#networks = new Purses(max);
    this.#max = max;
    this.#database = database;
    this.#withinMs = withinMs;
  }

  get remembered(): number {
    return this.#known.size + this.#networks.size;
  }

  /** The same as far as it is in mind; undefined: it would have to be looked up. */
  recall({ node }: EdgeCaller, address: string): boolean | undefined {
    const found = this.#known.get(`${node}/${sourceOf(address)}`);
    return found !== undefined && found.until > performance.now() ? found.isKnown : undefined;
  }

  /** Whether somebody has logged in from there; by the self-test, only that of this very node counts. */
  async isKnown({ node, plane }: EdgeCaller, address: string): Promise<boolean> {
    const source = sourceOf(address);
    const name = `${node}/${source}`;
    const now = performance.now();
    const found = this.#known.get(name);
    if (found !== undefined && found.until > now) return found.isKnown;
    const isKnown = await this.#database.withSystem((tx) => isSourceKnownAt(tx, testerOf(node, plane), source, this.#withinMs));
    this.#known.delete(name);
    this.#known.set(name, { isKnown, until: now + believedMs[isKnown ? 'known' : 'stranger'] });
    const [oldest] = this.#known.size > this.#max ? this.#known.keys() : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    return isKnown;
  }

  /** Takes one for the network of this address. False: it has had its part. */
  takeOfNetwork(node: NodeName, address: string, allowance: Allowance): boolean {
    return this.#networks.take(`${node}/${neighbourhoodOf(address)}`, allowance, performance.now());
  }
}
