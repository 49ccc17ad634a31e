// Owns: who may begin: bounds on strangers in all and per source, random early drop, penalties for sources that misbehave.
// Must never: grow with the number of sources, or turn away a source that is exempt for its penalties.
import { isInNetwork, type Network, parseNetwork, sourceOf } from '../../domain/addresses.ts';

export type AdmissionLimits = {
  readonly connectionsMax: number;
  readonly unauthenticatedConnectionsMax: number;
  readonly unauthenticatedPerSourceMax: number;
  readonly unauthenticatedDropFromPercent: number;
  readonly penaltyLongestMs: number;
};
export type Misdeed = 'protocol-error' | 'login-refused' | 'grace-exceeded' | 'no-login';
export type Verdict = 'admitted' | 'draining' | 'all-full' | 'strangers-full' | 'source-full' | 'early-drop' | 'penalty';

/** What a misdeed adds, milliseconds. */
const costs: Readonly<Record<Misdeed, number>> = {
  'protocol-error': 5000,
  'login-refused': 5000,
  'grace-exceeded': 10_000,
  'no-login': 1000,
};
/** Below this a source is still served: one mistyped code is no attack. */
const servedBelowMs = 15_000;
const sourcesMax = 65_536;

/** A place taken by one connection. */
export type Place = { readonly source: string; isStranger: boolean };

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #exempt: readonly Network[];
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #strangersBySource = new Map<string, number>();
  /** Source → when its penalty is over. Insertion order = age of the last misdeed. */
  readonly #penalties = new Map<string, number>();
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
  get penalised(): number {
    return this.#penalties.size;
  }

  /** A place for a new connection of a stranger, or why there is none. */
  enter(address: string): Place | Exclude<Verdict, 'admitted'> {
    const verdict = this.#judge(address);
    this.verdicts[verdict] += 1;
    if (verdict !== 'admitted') return verdict;
    const source = sourceOf(address);
    this.#all += 1;
    this.#count(source, 1);
    return { source, isStranger: true };
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
    if (this.#strangers >= max) return 'strangers-full';
    if ((this.#strangersBySource.get(source) ?? 0) >= unauthenticatedPerSourceMax) return 'source-full';
    // From `start` on the chance to be dropped grows evenly to 1 at the bound: a flood hits mostly itself.
    const start = (max * unauthenticatedDropFromPercent) / 100;
    return this.#strangers >= start && this.#random() < (this.#strangers - start + 1) / (max - start + 1) ? 'early-drop' : 'admitted';
  }

  #count(source: string, by: 1 | -1): void {
    this.#strangers += by;
    const count = (this.#strangersBySource.get(source) ?? 0) + by;
    if (count === 0) this.#strangersBySource.delete(source);
    else this.#strangersBySource.set(source, count);
  }

  /** The connection logged in: no stranger any more. */
  known(place: Place): void {
    if (!place.isStranger) return;
    place.isStranger = false;
    this.#count(place.source, -1);
  }

  leave(place: Place): void {
    this.known(place);
    this.#all -= 1;
  }

  punish(address: string, misdeed: Misdeed): void {
    if (this.#exempt.some((network) => isInNetwork(address, network))) return;
    const source = sourceOf(address);
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

  /** To be called every few seconds: forgets penalties that are over. */
  sweep(): void {
    const now = this.#now();
    for (const [source, until] of this.#penalties) if (until <= now) this.#penalties.delete(source);
  }
}
