// Owns: who may begin: bounds on strangers in all and per source, who goes when there are too many, penalties for sources that misbehave.
// Must never: grow with the number of sources, turn away a source that is exempt for its penalties, or let the strangers of few networks keep out
// those of others (T-34).
import { isInNetwork, type Network, neighbourhoodOf, parseNetwork, sourceOf } from '../../domain/addresses.ts';

export type AdmissionLimits = {
  readonly connectionsMax: number;
  readonly unauthenticatedConnectionsMax: number;
  readonly unauthenticatedPerSourceMax: number;
  readonly unauthenticatedDropFromPercent: number;
  readonly penaltyLongestMs: number;
};
/** `turned-away`: we could not take the login. No misdeed; but what comes and goes costs a place all the same. */
export type Misdeed = 'protocol-error' | 'login-refused' | 'grace-exceeded' | 'no-login' | 'turned-away';
/** What the early end of a login says of its client, by whose doing it was. */
export const misdeedOf = { client: 'protocol-error', ours: 'turned-away' } as const satisfies Readonly<Record<string, Misdeed>>;
export type Verdict = 'admitted' | 'draining' | 'all-full' | 'strangers-full' | 'source-full' | 'early-drop' | 'penalty';

/** What a misdeed adds, milliseconds. */
const costs: Readonly<Record<Misdeed, number>> = {
  'protocol-error': 5000,
  'login-refused': 5000,
  'grace-exceeded': 10_000,
  'no-login': 1000,
  'turned-away': 1000,
};
/** Below this a source is still served: one mistyped code is no attack. */
const servedBelowMs = 15_000;
const sourcesMax = 65_536;
/** Sources from which somebody logged in so lately have places of their own, a quarter as many as all strangers. */
const knownForMs = 24 * 3_600_000;
const knownMax = 16_384;
const shareOfKnown = 1 / 4;

/** A place taken by one connection. */
export type Place = {
  readonly source: string;
  readonly neighbourhood: string;
  isStranger: boolean;
  /** Called when the place is needed for somebody from elsewhere: the connection must end. */
  onEvicted: () => void;
};

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #exempt: readonly Network[];
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #strangersBySource = new Map<string, number>();
  /** Source → when its penalty is over. Insertion order = age of the last misdeed. */
  readonly #penalties = new Map<string, number>();
  /** Strangers by their network, the oldest first. */
  readonly #strangersByNeighbourhood = new Map<string, Set<Place>>();
  /** Source → until when it counts as one that people log in from. Insertion order = age of the last login. */
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
  /** Strangers whose place went to somebody from a network with fewer of them. */
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

  /** A place for a new connection of a stranger, or why there is none. */
  enter(address: string): Place | Exclude<Verdict, 'admitted'> {
    const verdict = this.#judge(address);
    this.verdicts[verdict] += 1;
    if (verdict !== 'admitted') return verdict;
    const place: Place = { source: sourceOf(address), neighbourhood: neighbourhoodOf(address), isStranger: true, onEvicted: () => {} };
    this.#all += 1;
    this.#count(place, 1);
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
    if (this.#all >= connectionsMax) return 'all-full';
    if ((this.#strangersBySource.get(source) ?? 0) >= unauthenticatedPerSourceMax) return 'source-full';
    const isKnown = this.#isKnown(source);
    const own = this.#strangersByNeighbourhood.get(neighbourhoodOf(address))?.size ?? 0;
    const busiest = this.#busiest();
    if (this.#strangers >= max + (isKnown ? Math.ceil(max * shareOfKnown) : 0)) {
      // Who comes from where fewer come from takes the place of whoever waits longest where most do. Among equals nobody is sent away.
      if (busiest === undefined || busiest.size <= own + 1) return 'strangers-full';
      this.#evictOldest(busiest);
      return 'admitted';
    }
    // From `start` on the chance to be dropped grows evenly to 1 at the bound, for the network with the most strangers: a flood hits itself.
    const start = (max * unauthenticatedDropFromPercent) / 100;
    if (isKnown || this.#strangers < start || own < (busiest?.size ?? 0)) return 'admitted';
    return this.#random() < (this.#strangers - start + 1) / (max - start + 1) ? 'early-drop' : 'admitted';
  }

  #isKnown(source: string): boolean {
    return (this.#known.get(source) ?? 0) > this.#now();
  }

  #busiest(): ReadonlySet<Place> | undefined {
    let most: Set<Place> | undefined;
    for (const places of this.#strangersByNeighbourhood.values()) if (places.size > (most?.size ?? 0)) most = places;
    return most;
  }

  #evictOldest(places: ReadonlySet<Place>): void {
    const [oldest] = places;
    if (oldest === undefined) return;
    this.#noStranger(oldest);
    this.evicted += 1;
    oldest.onEvicted();
  }

  #count(place: Place, by: 1 | -1): void {
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

  #noStranger(place: Place): void {
    if (!place.isStranger) return;
    place.isStranger = false;
    this.#count(place, -1);
  }

  /** The connection logged in: no stranger any more, and its source is one that people log in from. */
  known(place: Place): void {
    this.#noStranger(place);
    this.#known.delete(place.source);
    this.#known.set(place.source, this.#now() + knownForMs);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= knownMax) break;
      this.#known.delete(oldest);
    }
  }

  leave(place: Place): void {
    this.#noStranger(place);
    this.#all -= 1;
  }

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

  /** To be called every few seconds: forgets penalties that are over, and logins of long ago. */
  sweep(): void {
    const now = this.#now();
    for (const one of [this.#penalties, this.#known]) for (const [source, until] of one) if (until <= now) one.delete(source);
  }
}
