// Owns: the reading of one directory: pages of the warden, cut into replies, and the line of each name as people see
// it.
// Must never: keep more pages in memory than the edge process has places for.
import type { Attributes } from '../../rpc/edge-warden.ts';
import type { NameEntry } from './codec.ts';

/** So many names go into one reply; all clients take that many. */
const namesPerReply = 100;
/** So many names are asked for at once when there is a place to keep those that the first reply does not take. */
const namesPerPage = 1000;
/** How many pages one edge process keeps at once. A page is at most one rpc frame. */
const pagesMax = 256;

/** The places for pages that were received and are not told yet, for all sessions of one edge process. */
export class PagePlaces {
  #free = pagesMax;

  /** Takes a place. Returns whether there was one. */
  take(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  get free(): number {
    return this.#free;
  }

  give(): void {
    this.#free += 1;
  }
}

type Entry = { readonly name: string; readonly attributes: Attributes };
type Page = { readonly entries: readonly Entry[]; readonly next?: string | undefined };
type Source = {
  /** Returns at most `limit` names that follow `after`; from the first one on when it is undefined. */
  readonly page: (after: string | undefined, limit: number) => Promise<Page>;
  /** Returns the attributes of the directory itself. */
  readonly self: () => Promise<Attributes>;
};

export class Listing {
  readonly #places: PagePlaces;
  readonly #source: Source;
  #waiting: readonly Entry[] = [];
  #after: string | undefined;
  #hasPlace = false;
  #isStarted = false;
  #isWhole = false;
  #isEnded = false;

  constructor(places: PagePlaces, source: Source) {
    this.#places = places;
    this.#source = source;
  }

  /**
   * Returns the names of the next reply. None: that was the end. Throws what the warden throws; nothing is skipped
   * then.
   */
  async next(): Promise<readonly NameEntry[]> {
    while (this.#waiting.length === 0 && !this.#isWhole && !this.#isEnded) await this.#ask();
    const now = new Date();
    const dots: NameEntry[] = [];
    if (!this.#isStarted) {
      const self = await this.#source.self();
      dots.push(...['.', '..'].map((name) => ({ name, longName: longName(name, self, now), attributes: self })));
    }
    this.#isStarted = true;
    const told = this.#waiting.slice(0, namesPerReply);
    this.#waiting = this.#waiting.slice(namesPerReply);
    if (this.#waiting.length === 0) this.#giveBack();
    return [
      ...dots,
      ...told.map(({ name, attributes }) => ({ name, longName: longName(name, attributes, now), attributes })),
    ];
  }

  async #ask(): Promise<void> {
    this.#hasPlace = this.#places.take();
    try {
      const { entries, next } = await this.#source.page(this.#after, this.#hasPlace ? namesPerPage : namesPerReply);
      this.#waiting = entries;
      this.#after = next;
      this.#isWhole = next === undefined;
    } finally {
      if (this.#isEnded || this.#waiting.length === 0) this.#giveBack();
    }
  }

  /** Nobody reads any further, also when a page is still under way: what was not told is forgotten. */
  end(): void {
    this.#isEnded = true;
    this.#giveBack();
  }

  #giveBack(): void {
    this.#waiting = [];
    if (this.#hasPlace) this.#places.give();
    this.#hasPlace = false;
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Returns one line as `ls -l` shows it. Owner and group are fixed words, which reveal nothing about the host. */
export function longName(name: string, attributes: Attributes, now: Date): string {
  const letters =
    (attributes.kind === 'directory' ? 'd' : '-') +
    [8, 7, 6, 5, 4, 3, 2, 1, 0]
      .map((bit) => ((attributes.permissions >> bit) & 1 ? ('rwx'[(8 - bit) % 3] ?? '-') : '-'))
      .join('');
  const date = new Date(attributes.modifiedAt * 1000);
  const isRecent = Math.abs(now.getTime() - date.getTime()) < 182 * 86_400_000;
  const two = (value: number): string => String(value).padStart(2, '0');
  const when = `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${isRecent ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}` : ` ${date.getUTCFullYear()}`}`;
  return `${letters}   1 gateway  gateway  ${String(attributes.size).padStart(12)} ${when} ${name}`;
}
