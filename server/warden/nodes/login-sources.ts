// Owns: whether a login message comes from a known source or from a stranger, and how much of its allowance each
// network of strangers (/24, or /48 of IPv6) has used up (T-19, T-35).
// Must never: grow with the number of addresses, or let the self-test of one edge make a source known to another.
import { neighbourhoodOf, sourceOf } from '../../domain/addresses.ts';
import { type Allowance, Purses } from '../../domain/allowance.ts';
import type { NodeName } from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { testerOf } from '../testers/tester.ts';
import { isSourceKnownAt } from './node-queries.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;

/**
 * The largest number of addresses whose look-up is remembered. The oldest is forgotten, and looked up again when it
 * returns.
 */
const rememberedMax = 4096;
/**
 * How long the result of a look-up is believed, in milliseconds. An address becomes known with its first login and is
 * treated as known within a second.
 */
const believedMs = { known: 60_000, stranger: 1000 };

/**
 * Returns whether a message only asks which methods or keys would be worth trying. Such a message leaves no row,
 * whatever the answer is.
 */
export const provesNothing = ({ evidence }: Pick<Attempt, 'evidence'>): boolean =>
  evidence.type === 'none' || evidence.type === 'public-key-probe';

export class LoginSources {
  readonly #database: Database;
  readonly #withinMs: number;
  /** In the order of insertion, which is the order of age. */
  readonly #known = new Map<string, { readonly isKnown: boolean; readonly until: number }>();
  readonly #networks: Purses;
  readonly #max: number;

  /**
   * `withinMs` is how long an address counts as known after the last login from it. `max` bounds the number of
   * remembered addresses, and of networks.
   */
  constructor(database: Database, withinMs: number, max = rememberedMax) {
    this.#networks = new Purses(max);
    this.#max = max;
    this.#database = database;
    this.#withinMs = withinMs;
  }

  get remembered(): number {
    return this.#known.size + this.#networks.size;
  }

  /** Returns what `isKnown` would return, if it is remembered; undefined when it would have to be looked up. */
  recall({ node }: EdgeCaller, address: string): boolean | undefined {
    const found = this.#known.get(`${node}/${sourceOf(address)}`);
    return found !== undefined && found.until > performance.now() ? found.isKnown : undefined;
  }

  /**
   * Returns whether anybody has logged in from the source of this address within `withinMs`. Of the logins of
   * self-tests, only those of this node count.
   */
  async isKnown({ node, plane }: EdgeCaller, address: string): Promise<boolean> {
    const source = sourceOf(address);
    const name = `${node}/${source}`;
    const now = performance.now();
    const found = this.#known.get(name);
    if (found !== undefined && found.until > now) return found.isKnown;
    const isKnown = await this.#database.withSystem((tx) =>
      isSourceKnownAt(tx, testerOf(node, plane), source, this.#withinMs),
    );
    this.#known.delete(name);
    this.#known.set(name, { isKnown, until: now + believedMs[isKnown ? 'known' : 'stranger'] });
    const [oldest] = this.#known.size > this.#max ? this.#known.keys() : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    return isKnown;
  }

  /** Takes one from the allowance of the network of this address. Returns false when it is used up. */
  takeOfNetwork(node: NodeName, address: string, allowance: Allowance): boolean {
    return this.#networks.take(`${node}/${neighbourhoodOf(address)}`, allowance, performance.now());
  }
}
