// Owns: how much memory all connections of this process may hold for their clients together, and what one of them gets of it.
// Must never: let the sum of granted windows pass the bound by more than each channel's floor.

const floorBytes = 256 * 1024;
const replyShareMin = 256 * 1024;
const segmentShareMin = 1024 * 1024;

/** Half for bytes that clients may send, a quarter for replies that wait for their reader, a quarter for segments read ahead. */
export class BufferReserve {
  readonly #windowBytesMax: number;
  readonly #replyBytesMax: number;
  readonly #segmentBytesMax: number;
  #reserved = 0;
  #channels = 0;

  constructor(bytesMax: number) {
    this.#windowBytesMax = bytesMax / 2;
    this.#replyBytesMax = bytesMax / 4;
    this.#segmentBytesMax = bytesMax / 4;
  }

  get reservedBytes(): number {
    return this.#reserved;
  }

  enter(): void {
    this.#channels += 1;
  }

  leave(): void {
    this.#channels -= 1;
  }

  /** Up to `want` bytes of window for a channel that holds `held` already; a channel always reaches its floor, however many there are. */
  take(want: number, held: number): number {
    const free = Math.max(0, this.#windowBytesMax - this.#reserved);
    const granted = Math.max(0, Math.min(want, Math.max(free, floorBytes - held)));
    this.#reserved += granted;
    return granted;
  }

  give(bytes: number): void {
    this.#reserved -= bytes;
  }

  /** Bytes of replies that one channel may have under way or unsent. */
  replyShare(most: number): number {
    return Math.max(replyShareMin, Math.min(most, this.#replyBytesMax / Math.max(1, this.#channels)));
  }

  /** Bytes of opened segments that one channel may keep. */
  segmentShare(most: number): number {
    return Math.max(segmentShareMin, Math.min(most, this.#segmentBytesMax / Math.max(1, this.#channels)));
  }
}
