// Owns: handing out the places of one line of the table of shares. Places are taken and given
// back; a caller may wait for one for a bounded time, and the holders take turns (T-35, T-38).
// Must never: give one holder what is reserved for others, or let the waiting calls of one holder delay those of
// another.
import { AsyncLocalStorage } from 'node:async_hooks';
import { CofferdamError } from '../domain/errors.ts';
import { type Claim, groupMax, hasRoom, type Share } from '../domain/share.ts';

/** Gives the place back. Further calls have no effect. */
export type Release = () => void;
type Waiting = { readonly grant: () => void; readonly isUrgent: boolean };
/** `turn` tells when the holder last got a place. Among equals the one that has waited longest since then is next. */
type Holder = { readonly name: string; readonly group: Group; used: number; turn: number; waiting: Waiting[] };
type Group = { readonly name: string; used: number; turn: number; readonly holders: Map<string, Holder> };

/**
 * `line` names the line of shares in which the transactions of this work
 * take their places, in a process that has more than one such line.
 */
type Behalf = Claim & { readonly line?: string };
const behalf = new AsyncLocalStorage<Behalf>();
/** Runs `work` for this node or person. What the work uses counts as used by it. */
export const onBehalfOf = <T>(whose: Behalf, work: () => T): T => behalf.run(whose, work);
/** Returns for whom the current work is done; undefined when it is done for this process itself. */
export const claimant = (): Behalf | undefined => behalf.getStore();

export class Slots {
  readonly share: Share;
  readonly #groups = new Map<string, Group>();
  #used = 0;
  #waiting = 0;
  #turns = 0;

  constructor(share: Share) {
    this.share = share;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Takes a place now. Throws `over-limit` when there is none for this claim. */
  take(claim: Claim): Release {
    const release = this.tryTake(claim);
    if (release === undefined) throw this.#refusal(claim);
    return release;
  }

  /** Takes a place now. Returns undefined when there is none for this claim. */
  tryTake(claim: Claim): Release | undefined {
    const holder = this.#holderOf(claim);
    if (this.#fits(holder)) return this.#give(holder);
    this.#tidy(holder);
    return undefined;
  }

  /**
   * Waits for a place. The group with the fewest places goes first, within it
   * the holder with the fewest, and of that holder's calls the urgent ones.
   * Rejects with `over-limit` when too many calls of this holder are
   * waiting already, and with `unavailable` when the wait took too long.
   */
  acquire(claim: Claim, isUrgent = false): Promise<Release> {
    const holder = this.#holderOf(claim);
    if (this.#fits(holder)) return Promise.resolve(this.#give(holder));
    if (holder.waiting.filter((one) => one.isUrgent === isUrgent).length >= this.share.waiting) {
      this.#tidy(holder);
      return Promise.reject(this.#refusal(claim));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        this.#waiting -= 1;
        holder.waiting = holder.waiting.filter((one) => one !== place);
      };
      const place: Waiting = {
        isUrgent,
        grant: () => {
          leave();
          resolve(this.#give(holder));
        },
      };
      const timer = setTimeout(() => {
        leave();
        this.#tidy(holder);
        const seconds = Math.round(this.share.waitMs / 1000);
        reject(new CofferdamError('unavailable', `${this.#tooMany} for ${seconds} s; try again`));
      }, this.share.waitMs);
      holder.waiting.push(place);
      this.#waiting += 1;
    });
  }

  /** Runs `work` in a place, and gives the place back afterwards. Rejects as `acquire` does. */
  async within<T>(claim: Claim, work: () => Promise<T>): Promise<T> {
    const release = await this.acquire(claim);
    try {
      return await work();
    } finally {
      release();
    }
  }

  get #tooMany(): string {
    return this.share.of === 'person' ? `too many ${this.share.what} at once` : 'the gateway is very busy';
  }

  #refusal({ group }: Claim): CofferdamError {
    const { of, each, total } = this.share;
    const kept = total - groupMax(this.share, group);
    const bounds =
      of === 'person'
        ? `: one person may have ${each}${kept > 0 ? `, and ${kept} of ${total} are kept for officers` : ''}`
        : '';
    return new CofferdamError('over-limit', `${this.#tooMany}${bounds}; try again later`);
  }

  #holderOf({ holder, group }: Claim): Holder {
    let found = this.#groups.get(group);
    if (found === undefined) {
      found = { name: group, used: 0, turn: 0, holders: new Map() };
      this.#groups.set(group, found);
    }
    let own = found.holders.get(holder);
    if (own === undefined) {
      own = { name: holder, group: found, used: 0, turn: 0, waiting: [] };
      found.holders.set(holder, own);
    }
    return own;
  }

  #fits({ used, group }: Holder): boolean {
    return hasRoom(this.share, group.name, { all: this.#used, ofGroup: group.used, ofHolder: used });
  }

  #give(holder: Holder): Release {
    this.#turns += 1;
    this.#used += 1;
    holder.used += 1;
    holder.turn = this.#turns;
    holder.group.used += 1;
    holder.group.turn = this.#turns;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#used -= 1;
      holder.used -= 1;
      holder.group.used -= 1;
      if (this.#waiting > 0) this.#next();
      this.#tidy(holder);
    };
  }

  /** Forgets a holder that has nothing and waits for nothing, so that the table is no larger than what is in use. */
  #tidy({ name, used, waiting, group }: Holder): void {
    if (used > 0 || waiting.length > 0) return;
    group.holders.delete(name);
    if (group.holders.size === 0) this.#groups.delete(group.name);
  }

  /** Gives the place that has become free to the call that is next. At most one waiting call fits now. */
  #next(): void {
    const before = (a: { used: number; turn: number }, b: { used: number; turn: number }): number =>
      a.used - b.used || a.turn - b.turn;
    const [next] = [...this.#groups.values()]
      .flatMap((group) =>
        [...group.holders.values()].filter((holder) => holder.waiting.length > 0 && this.#fits(holder)),
      )
      .sort((a, b) => (a.group === b.group ? before(a, b) : before(a.group, b.group)));
    (next?.waiting.find((one) => one.isUrgent) ?? next?.waiting[0])?.grant();
  }
}

/** Returns the places of every line of one part of the table of shares. */
export function slotsOf<Lines extends Readonly<Record<string, Share>>>(
  lines: Lines,
): { readonly [L in keyof Lines]: Slots } {
  return Object.fromEntries(Object.entries(lines).map(([name, share]) => [name, new Slots(share)])) as {
    readonly [L in keyof Lines]: Slots;
  };
}
