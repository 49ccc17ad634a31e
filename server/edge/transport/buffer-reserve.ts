// Owns: how much memory all channels of this process may hold for their clients together, and each channel's account of it.
// Must never: let a sum pass its bound by more than each channel's floor.
import type { BufferAccount } from '../sftp-seam.ts';

type Kind = 'windows' | 'early' | 'uploads' | 'replies' | 'segments';
const kinds: readonly Kind[] = ['windows', 'early', 'uploads', 'replies', 'segments'];

/** What a channel always gets, so that each goes on, if slowly; bytes. The window holds the largest packet: a smaller one could never be filled. */
export const floors: Readonly<Record<Kind, number>> = {
  windows: 288 * 1024,
  early: 512 * 1024,
  uploads: 512 * 1024,
  replies: 256 * 1024,
  segments: 512 * 1024,
};
/** What a channel gets at most; for windows its own configured one. */
const mosts: Readonly<Record<Kind, number>> = {
  windows: Number.POSITIVE_INFINITY,
  // One file's window, with what its pieces cost.
  early: 4.25 * 2 ** 20,
  uploads: 10 * 2 ** 20,
  replies: 8 * 2 ** 20,
  segments: 10 * 2 ** 20,
};

/**
 * Six sixteenths for bytes that clients may send, one for those that came ahead of their place, three each for segments on their way into the store,
 * for replies that wait for their reader, and for segments read ahead. Who stands still in one of them takes nothing from the others.
 */
export class BufferReserve {
  readonly #bounds: Readonly<Record<Kind, number>>;
  readonly #totals: Record<Kind, number> = { windows: 0, early: 0, uploads: 0, replies: 0, segments: 0 };

  constructor(bytesMax: number) {
    const part = bytesMax / 16;
    this.#bounds = { windows: 6 * part, early: part, uploads: 3 * part, replies: 3 * part, segments: 3 * part };
  }

  get totals(): Readonly<Record<Kind, number>> {
    return this.#totals;
  }

  account(): Account {
    return new Account(this.#totals, this.#bounds);
  }
}

export class Account implements BufferAccount {
  readonly #totals: Record<Kind, number>;
  readonly #bounds: Readonly<Record<Kind, number>>;
  readonly #own: Record<Kind, number> = { windows: 0, early: 0, uploads: 0, replies: 0, segments: 0 };
  #isClosed = false;

  constructor(totals: Record<Kind, number>, bounds: Readonly<Record<Kind, number>>) {
    this.#totals = totals;
    this.#bounds = bounds;
  }

  #add(kind: Kind, bytes: number): void {
    if (this.#isClosed) return;
    this.#own[kind] += bytes;
    this.#totals[kind] += bytes;
  }

  #hasRoom(kind: Kind): boolean {
    const own = this.#own[kind];
    return own < floors[kind] || (own < mosts[kind] && this.#totals[kind] < this.#bounds[kind]);
  }

  get hasReplyRoom(): boolean {
    return this.#hasRoom('replies');
  }

  get hasSegmentRoom(): boolean {
    return this.#hasRoom('segments');
  }

  addReplies(bytes: number): void {
    this.#add('replies', bytes);
  }

  addSegments(bytes: number): void {
    this.#add('segments', bytes);
  }

  get hasUploadRoom(): boolean {
    return this.#hasRoom('uploads');
  }

  addUploads(bytes: number): void {
    this.#add('uploads', bytes);
  }

  takeEarly(bytes: number): boolean {
    const own = this.#own.early + bytes;
    if (own > floors.early && (own > mosts.early || this.#totals.early + bytes > this.#bounds.early)) return false;
    this.#add('early', bytes);
    return true;
  }

  giveEarly(bytes: number): void {
    this.#add('early', -bytes);
  }

  /** How many of `want` more bytes of window this channel may grant. */
  takeWindow(want: number): number {
    const free = this.#bounds.windows - this.#totals.windows;
    const granted = Math.max(0, Math.min(want, Math.max(free, floors.windows - this.#own.windows)));
    this.#add('windows', granted);
    return granted;
  }

  giveWindow(bytes: number): void {
    this.#add('windows', -bytes);
  }

  /** Its client sends no more. What is still being worked on stays counted until `close`. */
  leave(): void {
    this.#add('windows', -this.#own.windows);
  }

  close(): void {
    for (const kind of kinds) this.#add(kind, -this.#own[kind]);
    this.#isClosed = true;
  }
}
