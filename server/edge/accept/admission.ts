// Owns: which connections may begin: bounds on connections without a login (strangers), in all and per
// source; which of them must end when there are too many; and penalties for sources that misbehave.
// Must never: use memory that grows with the number of sources, penalise a source that is
// exempt, let the strangers of a few networks keep out those of other networks (T-34), or let
// strangers who are slow keep out others.
import { isInNetwork, type Network, neighbourhoodOf, parseNetwork, sourceOf } from '../../domain/addresses.ts';

type AdmissionLimits = {
  readonly connectionsMax: number;
  readonly unauthenticatedConnectionsMax: number;
  readonly unauthenticatedPerSourceMax: number;
  readonly unauthenticatedDropFromPercent: number;
  readonly penaltyLongestMs: number;
  readonly unprovedPlaceMs: number;
};
/**
 * What a connection did. `turned-away` means that we could not accept the login; it
 * is no misdeed, but a connection that comes and goes takes a place from others.
 */
export type Misdeed = 'protocol-error' | 'login-refused' | 'grace-exceeded' | 'no-login' | 'turned-away';
/** Maps who caused the early end of a login to the misdeed that is recorded. */
export const misdeedOf = { client: 'protocol-error', ours: 'turned-away' } as const satisfies Readonly<
  Record<string, Misdeed>
>;
export type Verdict =
  | 'admitted'
  | 'draining'
  | 'all-full'
  | 'strangers-full'
  | 'source-full'
  | 'early-drop'
  | 'penalty';

/** The penalty that each misdeed adds to its source, in milliseconds. */
const costs: Readonly<Record<Misdeed, number>> = {
  'protocol-error': 5000,
  'login-refused': 5000,
  'grace-exceeded': 10_000,
  'no-login': 1000,
  'turned-away': 1000,
};
/**
 * A source whose remaining penalty is below this is still served, because one mistyped code is no attack; milliseconds.
 */
const servedBelowMs = 15_000;
/** The largest number of sources whose penalties are remembered. */
const sourcesMax = 65_536;
/**
 * How long a source counts as known after somebody logged in from it. Known sources have places
 * of their own beyond the bound on strangers: a quarter as many as all strangers may have.
 */
const knownForMs = 24 * 3_600_000;
const knownMax = 16_384;
const shareOfKnown = 1 / 4;

/** A place that one connection occupies. */
export type ConnectionPlace = {
  readonly source: string;
  readonly neighbourhood: string;
  /** When the connection began, in milliseconds of the clock of `Admission`. */
  readonly since: number;
  isStranger: boolean;
  /** Called when another connection needs the place. The connection that has it must end. */
  onEvicted: (by: 'network' | 'time') => void;
};

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #exempt: readonly Network[];
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #strangersBySource = new Map<string, number>();
  /** For each source: when its penalty ends. The entries are in the order of the last misdeeds. */
  readonly #penalties = new Map<string, number>();
  /** For each network: its strangers, the oldest first. */
  readonly #strangersByNeighbourhood = new Map<string, Set<ConnectionPlace>>();
  /** The strangers who have proved nothing, the oldest first. */
  readonly #unproved = new Set<ConnectionPlace>();
  /** For each source: until when it counts as known. The entries are in the order of the last logins. */
  readonly #known = new Map<string, number>();
  #all = 0;
  #strangers = 0;
  readonly verdicts: Record<Verdict, number> = {
    admitted: 0,
    draining: 0,
    'all-full': 0,
    'strangers-full': 0,
    'source-full': 0,
    'early-drop': 0,
    penalty: 0,
  };
  /**
   * The number of strangers whose place was given to another connection: from a network that had fewer strangers, or
   * because they had proved nothing for `unprovedPlaceMs`.
   */
  evicted = 0;

  constructor(
    limits: AdmissionLimits,
    exempt: readonly string[],
    now: () => number = () => performance.now(),
    random: () => number = Math.random,
  ) {
    this.#limits = limits;
    this.#exempt = exempt.map(parseNetwork).filter((network) => network !== undefined);
    this.#now = now;
    this.#random = random;
  }

  get connections(): number {
    return this.#all;
  }
  get strangers(): number {
    return this.#strangers;
  }
  get knownSources(): number {
    return this.#known.size;
  }
  get penalised(): number {
    return this.#penalties.size;
  }

  /** Returns a place for a new connection that is not logged in, or the reason why there is none. */
  enter(address: string): ConnectionPlace | Exclude<Verdict, 'admitted'> {
    const verdict = this.#judge(address);
    this.verdicts[verdict] += 1;
    if (verdict !== 'admitted') return verdict;
    const place: ConnectionPlace = {
      source: sourceOf(address),
      neighbourhood: neighbourhoodOf(address),
      since: this.#now(),
      isStranger: true,
      onEvicted: () => {},
    };
    this.#all += 1;
    this.#count(place, 1);
    this.#unproved.add(place);
    return place;
  }

  #judge(address: string): Verdict {
    const {
      connectionsMax,
      unauthenticatedConnectionsMax: max,
      unauthenticatedPerSourceMax,
      unauthenticatedDropFromPercent,
    } = this.#limits;
    const source = sourceOf(address);
    if ((this.#penalties.get(source) ?? 0) - this.#now() > servedBelowMs) return 'penalty';
    this.#makeRoom(source);
    if (this.#all >= connectionsMax) return 'all-full';
    if ((this.#strangersBySource.get(source) ?? 0) >= unauthenticatedPerSourceMax) return 'source-full';
    const isKnown = this.#isKnown(source);
    const own = this.#strangersByNeighbourhood.get(neighbourhoodOf(address))?.size ?? 0;
    const busiest = this.#busiest();
    if (this.#strangers >= max + (isKnown ? Math.ceil(max * shareOfKnown) : 0)) {
      // A connection takes the place of the oldest stranger of the network with the most strangers, if its own
      // network has at least two fewer. Between networks that would have equally many, nobody loses a place.
      if (busiest === undefined || busiest.size <= own + 1) return 'strangers-full';
      this.#evictOldest(busiest);
      return 'admitted';
    }
    // From `start` on, the probability that a connection is dropped grows linearly to 1 at the
    // bound. It applies only to the network with the most strangers, so that a flood harms itself.
    const start = (max * unauthenticatedDropFromPercent) / 100;
    if (isKnown || this.#strangers < start || own < (busiest?.size ?? 0)) return 'admitted';
    return this.#random() < (this.#strangers - start + 1) / (max - start + 1) ? 'early-drop' : 'admitted';
  }

  /**
   * Lets a stranger who has proved nothing for `unprovedPlaceMs` give way when places are scarce: in all, from where
   * connections are dropped at random on, or those of one source. People have more time than that only while nobody
   * else needs their places.
   */
  #makeRoom(source: string): void {
    const {
      unauthenticatedConnectionsMax: max,
      unauthenticatedPerSourceMax,
      unauthenticatedDropFromPercent,
    } = this.#limits;
    const [oldest] = this.#unproved;
    if (oldest === undefined || !this.#isOverdue(oldest)) return;
    if ((this.#strangersBySource.get(source) ?? 0) >= unauthenticatedPerSourceMax) {
      for (const place of this.#unproved) {
        if (!this.#isOverdue(place)) break;
        if (place.source === source) return this.#evict(place, 'time');
      }
    }
    if (this.#strangers >= (max * unauthenticatedDropFromPercent) / 100) this.#evict(oldest, 'time');
  }

  #isOverdue({ since }: ConnectionPlace): boolean {
    return this.#now() - since >= this.#limits.unprovedPlaceMs;
  }

  #isKnown(source: string): boolean {
    return (this.#known.get(source) ?? 0) > this.#now();
  }

  #busiest(): ReadonlySet<ConnectionPlace> | undefined {
    let most: Set<ConnectionPlace> | undefined;
    for (const places of this.#strangersByNeighbourhood.values()) if (places.size > (most?.size ?? 0)) most = places;
    return most;
  }

  #evictOldest(places: ReadonlySet<ConnectionPlace>): void {
    const [oldest] = places;
    if (oldest !== undefined) this.#evict(oldest, 'network');
  }

  #evict(place: ConnectionPlace, by: 'network' | 'time'): void {
    this.#noStranger(place);
    this.evicted += 1;
    place.onEvicted(by);
  }

  #count(place: ConnectionPlace, by: 1 | -1): void {
    this.#strangers += by;
    const count = (this.#strangersBySource.get(place.source) ?? 0) + by;
    if (count === 0) this.#strangersBySource.delete(place.source);
    else this.#strangersBySource.set(place.source, count);
    const places = this.#strangersByNeighbourhood.get(place.neighbourhood) ?? new Set();
    this.#strangersByNeighbourhood.set(place.neighbourhood, places);
    if (by === 1) places.add(place);
    else places.delete(place);
    if (places.size === 0) this.#strangersByNeighbourhood.delete(place.neighbourhood);
  }

  #noStranger(place: ConnectionPlace): void {
    if (!place.isStranger) return;
    place.isStranger = false;
    this.#unproved.delete(place);
    this.#count(place, -1);
  }

  /**
   * Records that the first proof of a login counted. The connection is a stranger still, and no longer one who gives
   * way because of time.
   */
  proved(place: ConnectionPlace): void {
    this.#unproved.delete(place);
  }

  /** Returns in how many whole seconds a source with this address is served again; 0 when it is. */
  servedInSeconds(address: string): number {
    const leftMs = (this.#penalties.get(sourceOf(address)) ?? 0) - this.#now() - servedBelowMs;
    return Math.max(0, Math.ceil(leftMs / 1000));
  }

  /** Records that the connection logged in. It no longer counts as a stranger, and its source counts as known. */
  known(place: ConnectionPlace): void {
    this.#noStranger(place);
    this.#known.delete(place.source);
    this.#known.set(place.source, this.#now() + knownForMs);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= knownMax) break;
      this.#known.delete(oldest);
    }
  }

  /** Gives the place back when the connection has ended. */
  leave(place: ConnectionPlace): void {
    this.#noStranger(place);
    this.#all -= 1;
  }

  /** Adds the penalty of a misdeed to the source of an address, unless the address is exempt. */
  punish(address: string, misdeed: Misdeed): void {
    if (this.#exempt.some((network) => isInNetwork(address, network))) return;
    const source = sourceOf(address);
    if (misdeed === 'turned-away' && this.#isKnown(source)) return;
    const now = this.#now();
    const until = Math.max(now, this.#penalties.get(source) ?? 0) + costs[misdeed];
    this.#penalties.delete(source);
    this.#penalties.set(source, Math.min(until, now + this.#limits.penaltyLongestMs));
    if (this.#penalties.size <= sourcesMax) return;
    for (const [oldest, over] of this.#penalties) {
      if (over > now && this.#penalties.size <= sourcesMax) break;
      this.#penalties.delete(oldest);
    }
  }

  /** Removes penalties that have ended and sources whose last login was long ago. To be called every few seconds. */
  sweep(): void {
    const now = this.#now();
    for (const one of [this.#penalties, this.#known])
      for (const [source, until] of one) if (until <= now) one.delete(source);
  }
}
