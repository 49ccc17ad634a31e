// Owns: the buffers that the uploads of one session are filling, and those on their
// way into the store. Every byte of them is counted in the channel's account (T-34).
// Must never: let a buffer be much larger than what is in it while room is short, seal a short
// piece early while a longer one is kept, or let an upload wait for room without waking it.
import { segmentBytes } from '../../extents/sealed-format.ts';
import type { BufferAccount } from '../seam/sftp-seam.ts';
import type { StoreThread } from './store-thread.ts';

/** One upload of the session, whether it keeps bytes or not. */
export type Filler = {
  /** The number of bytes in its segment that is not full yet. */
  readonly filledBytes: number;
  /** Moves these bytes into a buffer of a fitting size. */
  fit(): void;
  /** Sends these bytes to the store, as the end of an extent. */
  seal(): void;
  /** Reports that there may be room again. */
  wake(): void;
};
type Uploads = Pick<BufferAccount, 'addUploads' | 'hasUploadRoom'>;

/** The smallest buffer: one page. */
const bytesMin = 4096;

/**
 * Returns the size of the buffer for this many bytes: the next power of two,
 * at most a whole segment. Buffers come in seven sizes and are used again.
 */
export function fitting(bytes: number): number {
  return Math.min(segmentBytes, Math.max(bytesMin, 2 ** Math.ceil(Math.log2(Math.max(1, bytes)))));
}

export class Filling {
  readonly #account: Uploads;
  readonly #store: Pick<StoreThread, 'takeBuffer' | 'giveBuffer'>;
  readonly #fillers = new Set<Filler>();
  #heldBytes = 0;
  #movingBytes = 0;

  constructor(account: Uploads, store: Pick<StoreThread, 'takeBuffer' | 'giveBuffer'>) {
    this.#account = account;
    this.#store = store;
  }

  /**
   * True when no more should be written: there is no room, and the bytes on their way into the store will release some.
   */
  get isFull(): boolean {
    return this.#movingBytes > 0 && !this.#account.hasUploadRoom;
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    this.#account.addUploads(bytes);
  }

  /**
   * Registers an upload when it is opened. An upload that has not kept a byte
   * yet may have to wait for room as well, and is woken with the others.
   */
  join(filler: Filler): void {
    this.#fillers.add(filler);
  }

  /** Returns a buffer for at least `bytes` bytes. The buffer stays counted until it is given back. */
  take(bytes: number): Buffer {
    const size = fitting(bytes);
    this.#count(size);
    return this.#store.takeBuffer(size);
  }

  /** Copies the first `filled` bytes of `old` into a buffer for at least `bytes` bytes, and gives `old` back. */
  move(old: Buffer, filled: number, bytes: number): Buffer {
    const next = this.take(bytes);
    old.copy(next, 0, 0, filled);
    this.giveBack(old);
    return next;
  }

  giveBack(buffer: Buffer): void {
    this.#count(-buffer.length);
    this.#store.giveBuffer(buffer);
  }

  /** Records that this many counted bytes are on their way into the store. A call of `arrived` follows. */
  sent(bytes: number): void {
    this.#movingBytes += bytes;
  }

  /** Counts bytes that are only created on the way into the store: the text of an extent that is stored in its row. */
  sentMore(bytes: number): void {
    this.#count(bytes);
    this.sent(bytes);
  }

  arrived(bytes: number): void {
    this.#movingBytes -= bytes;
    this.#count(-bytes);
    for (const filler of this.#fillers) filler.wake();
  }

  /** Removes an upload that has ended and keeps no bytes any more. */
  leave(filler: Filler): void {
    this.#fillers.delete(filler);
  }

  /**
   * Called when more bytes are kept. A transfer must not wait for bytes that never come while others
   * have no room. Buffers are therefore reduced to a fitting size first. If that is not enough, the
   * longest pieces are sealed as short extents, until half of what is kept is on its way.
   */
  relieve(): void {
    if (this.#account.hasUploadRoom) return;
    for (const filler of this.#fillers) filler.fit();
    if (this.#account.hasUploadRoom || this.#movingBytes > 0) return;
    const half = this.#heldBytes / 2;
    for (const filler of [...this.#fillers].sort((a, b) => b.filledBytes - a.filledBytes)) {
      if (filler.filledBytes === 0 || this.#movingBytes >= half) return;
      filler.seal();
    }
  }
}
