// Owns: the buffers that the uploads of one session are filling, and those on their way into the store. Every byte of them is in the channel's account (T-34).
// Must never: let what is kept for a file cost much more than what is in it while room is short, give up a short piece where a longer one is kept, or let an
// upload wait for room that does not hear of it.
import { segmentBytes } from '../../extents/sealed-format.ts';
import type { BufferAccount } from '../sftp-seam.ts';
import type { StoreThread } from './store-thread.ts';

/** One upload of the session, whether it keeps something or not. */
export type Filler = {
  /** Bytes in its unfilled segment. */
  readonly filledBytes: number;
  /** Puts them into a buffer that fits. */
  fit(): void;
  /** Sends them on their way, as the end of an extent. */
  seal(): void;
  /** There may be room again. */
  wake(): void;
};
type Uploads = Pick<BufferAccount, 'addUploads' | 'hasUploadRoom'>;

/** The smallest buffer: a page. */
const bytesMin = 4096;

/** The next power of two, a whole segment at most: buffers come in seven sizes, and are used again. */
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

  /** No more should be written: there is no room, and what is on its way gives some back by itself. */
  get isFull(): boolean {
    return this.#movingBytes > 0 && !this.#account.hasUploadRoom;
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    this.#account.addUploads(bytes);
  }

  /** Of every upload, from its opening on: who has not kept a byte yet may have to wait for room as well, and is woken with the others then. */
  join(filler: Filler): void {
    this.#fillers.add(filler);
  }

  /** A buffer for at least `bytes`; it stays counted until it is given back. */
  take(bytes: number): Buffer {
    const size = fitting(bytes);
    this.#count(size);
    return this.#store.takeBuffer(size);
  }

  /** The first `filled` bytes of `old` in a buffer for at least `bytes`. */
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

  /** So many bytes that are counted are on their way: `arrived` follows. */
  sent(bytes: number): void {
    this.#movingBytes += bytes;
  }

  /** Bytes that are only made on the way: the text of an extent that goes into its row. */
  sentMore(bytes: number): void {
    this.#count(bytes);
    this.sent(bytes);
  }

  arrived(bytes: number): void {
    this.#movingBytes -= bytes;
    this.#count(-bytes);
    for (const filler of this.#fillers) filler.wake();
  }

  /** The upload is over, and keeps nothing any more. */
  leave(filler: Filler): void {
    this.#fillers.delete(filler);
  }

  /**
   * Called when more is kept. Nothing may wait for bytes that never come while others have no room: buffers are made to fit, and if that is not enough the
   * longest pieces are sealed as short extents, half of what is kept at once.
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
