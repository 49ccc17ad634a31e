// Owns: which opened segments one session keeps, of all its files: the newest, as far as the process has room.
import type { BufferAccount } from '../seam/sftp-seam.ts';

/** What a kept segment costs besides its bytes. */
const segmentCostBytes = 512;

/** Keeps opened segments. A dropped segment only has to be read again. */
export class SegmentShelf {
  readonly #buffers: BufferAccount;
  /** For each kept segment: the function that drops it, and what the segment costs. */
  readonly #drops = new Map<() => void, number>();

  constructor(buffers: BufferAccount) {
    this.#buffers = buffers;
  }

  /**
   * Keeps a segment of `bytes` bytes. `drop` is called when the segment must go.
   * Returns the function to call when the segment was dropped for another reason.
   */
  keep(bytes: number, drop: () => void): () => void {
    const costBytes = bytes + segmentCostBytes;
    this.#drops.set(drop, costBytes);
    this.#buffers.addSegments(costBytes);
    for (const oldest of this.#drops.keys()) {
      if (oldest === drop || this.#buffers.hasSegmentRoom) break;
      this.#forget(oldest);
      oldest();
    }
    return () => this.#forget(drop);
  }

  #forget(drop: () => void): void {
    const costBytes = this.#drops.get(drop);
    if (costBytes === undefined) return;
    this.#drops.delete(drop);
    this.#buffers.addSegments(-costBytes);
  }
}
