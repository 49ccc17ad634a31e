// Owns: how much memory all channels of this process together may hold for their clients, and each channel's account of
// it.
// Must never: give a channel more than its floor while the sum of that kind is at its bound.
import type { ReadMemory } from '../../rpc/own-buffer.ts';
import type { BufferAccount } from '../seam/sftp-seam.ts';

type Kind = 'windows' | 'early' | 'uploads' | 'replies' | 'segments';
const kinds: readonly Kind[] = ['windows', 'early', 'uploads', 'replies', 'segments'];

/**
 * What every channel always gets, in bytes, so that each transfer continues, if slowly. The floor
 * of the window is as large as the largest packet, because a smaller window could never be filled.
 */
export const floors: Readonly<Record<Kind, number>> = {
  windows: 288 * 1024,
  early: 512 * 1024,
  uploads: 512 * 1024,
  replies: 256 * 1024,
  segments: 512 * 1024,
};
/** The most that one channel gets, in bytes. For windows the configured window size of the channel applies instead. */
const mosts: Readonly<Record<Kind, number>> = {
  windows: Number.POSITIVE_INFINITY,
  // The reorder window of one file, and what its pieces cost in addition.
  early: 4.25 * 2 ** 20,
  uploads: 10 * 2 ** 20,
  replies: 8 * 2 ** 20,
  segments: 10 * 2 ** 20,
};

/**
 * The memory is divided into sixteenths: five for bytes that clients may send, one for the memory into which sockets
 * are read, one for writes that arrived ahead of their place, and three each for segments on their way into the store,
 * for replies that wait for their reader, and for segments that were read ahead. A client that stands still in one kind
 * takes nothing from the others.
 */
/** What one channel gets at least, in bytes. */
const floorBytes = kinds.reduce((sum, kind) => sum + floors[kind], 0);
/** The part of the memory that the floors of further channels of connections have. Each first channel has its own. */
const shareOfFurther = 1 / 2;

export class BufferReserve {
  readonly #furtherMax: number;
  #further = 0;
  readonly #bounds: Readonly<Record<Kind, number>>;
  readonly #totals: Record<Kind, number> = { windows: 0, early: 0, uploads: 0, replies: 0, segments: 0 };
  #socketBytes = 0;
  /** The memory into which sockets are read. Each has a little; the room is for those that send much. */
  readonly sockets: ReadMemory;

  constructor(bytesMax: number) {
    this.#furtherMax = Math.floor((bytesMax * shareOfFurther) / floorBytes);
    const part = bytesMax / 16;
    this.sockets = {
      take: (bytes) => {
        const hasRoom = this.#socketBytes + bytes <= part;
        if (hasRoom) this.#socketBytes += bytes;
        return hasRoom;
      },
      need: (bytes) => (this.#socketBytes += bytes),
      give: (bytes) => (this.#socketBytes -= bytes),
    };
    this.#bounds = { windows: 5 * part, early: part, uploads: 3 * part, replies: 3 * part, segments: 3 * part };
  }

  get totals(): Readonly<Record<Kind, number>> {
    return this.#totals;
  }

  get socketBytes(): number {
    return this.#socketBytes;
  }

  account(): Account {
    return new Account(this.#totals, this.#bounds, () => {});
  }

  /**
   * Returns an account for a channel beside others of the same connection; undefined when there is no memory for its
   * floors.
   */
  furtherAccount(): Account | undefined {
    if (this.#further >= this.#furtherMax) return undefined;
    this.#further += 1;
    return new Account(this.#totals, this.#bounds, () => (this.#further -= 1));
  }
}

export class Account implements BufferAccount {
  readonly #totals: Record<Kind, number>;
  readonly #bounds: Readonly<Record<Kind, number>>;
  readonly #own: Record<Kind, number> = { windows: 0, early: 0, uploads: 0, replies: 0, segments: 0 };
  readonly #onClosed: () => void;
  #isClosed = false;

  constructor(totals: Record<Kind, number>, bounds: Readonly<Record<Kind, number>>, onClosed: () => void) {
    this.#totals = totals;
    this.#bounds = bounds;
    this.#onClosed = onClosed;
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

  /** Returns how many of `want` more bytes this channel may add to its receive window, and counts them. */
  takeWindow(want: number): number {
    const free = this.#bounds.windows - this.#totals.windows;
    const granted = Math.max(0, Math.min(want, Math.max(free, floors.windows - this.#own.windows)));
    this.#add('windows', granted);
    return granted;
  }

  giveWindow(bytes: number): void {
    this.#add('windows', -bytes);
  }

  /**
   * Gives back the window, because the client sends no more. Work that is still under way stays counted until `close`.
   */
  leave(): void {
    this.#add('windows', -this.#own.windows);
  }

  close(): void {
    if (this.#isClosed) return;
    for (const kind of kinds) this.#add(kind, -this.#own[kind]);
    this.#isClosed = true;
    this.#onClosed();
  }
}
