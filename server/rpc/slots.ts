// Owns: handing out one line of the table of shares: places that are taken and given back, with a bounded wait, by turns (T-35, T-38).
// Must never: give one holder what is kept for others, or let one holder's line stand before another's.
import { AsyncLocalStorage } from 'node:async_hooks';
import { CofferdamError } from '../domain/errors.ts';
import { type Claim, groupMax, hasRoom, type Share } from '../domain/share.ts';

/** Gives the place back; once, however often it is called. */
export type Release = () => void;
type Waiting = { readonly grant: () => void; readonly isUrgent: boolean };
/** `turn`: when it last got a place; who has waited longest since then is next among equals. */
type Holder = { readonly name: string; readonly group: Group; used: number; turn: number; waiting: Waiting[] };
type Group = { readonly name: string; used: number; turn: number; readonly holders: Map<string, Holder> };

/** `line`: whose places its transactions take, where a process has more than one line of them. */
export type Behalf = Claim & { readonly line?: string };
const behalf = new AsyncLocalStorage<Behalf>();
/** Whatever `work` does, it does for this node or person: what it uses counts as theirs. */
export const onBehalfOf = <T>(whose: Behalf, work: () => T): T => behalf.run(whose, work);
/** For whom we are at work; undefined: for ourselves. */
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

  /** A place now. Throws `over-limit` when there is none for this claim. */
  take(claim: Claim): Release {
    const holder = this.#holderOf(claim);
    if (!this.#fits(holder)) {
      this.#tidy(holder);
      throw this.#refusal(claim);
    }
    return this.#give(holder);
  }

  /**
   * A place when there is one, by turns: the group that has least goes first, in it the holder that has least, of its own the urgent ones.
   * Rejects with `over-limit` when too many of this holder wait already, with `unavailable` when it took too long.
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

  /** Runs `work` in a place. */
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
      of === 'person' ? `: one person may have ${each}${kept > 0 ? `, and ${kept} of ${total} are kept for officers` : ''}` : '';
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

  /** Whoever has nothing and waits for nothing is forgotten: the table is as large as what is held. */
  #tidy({ name, used, waiting, group }: Holder): void {
    if (used > 0 || waiting.length > 0) return;
    group.holders.delete(name);
    if (group.holders.size === 0) this.#groups.delete(group.name);
  }

  /** One place is free: at most one who waits fits now. */
  #next(): void {
    const before = (a: { used: number; turn: number }, b: { used: number; turn: number }): number => a.used - b.used || a.turn - b.turn;
    const [next] = [...this.#groups.values()]
      .flatMap((group) => [...group.holders.values()].filter((holder) => holder.waiting.length > 0 && this.#fits(holder)))
      .sort((a, b) => (a.group === b.group ? before(a, b) : before(a.group, b.group)));
    (next?.waiting.find((one) => one.isUrgent) ?? next?.waiting[0])?.grant();
  }
}

/** The places of every line of a part of the table. */
export function slotsOf<Lines extends Readonly<Record<string, Share>>>(lines: Lines): { readonly [L in keyof Lines]: Slots } {
  return Object.fromEntries(Object.entries(lines).map(([name, share]) => [name, new Slots(share)])) as {
    readonly [L in keyof Lines]: Slots;
  };
}
