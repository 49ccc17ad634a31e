// Owns: which opened segments one session keeps, over all its files: the newest, as far as the process has room.
import type { BufferAccount } from '../sftp-seam.ts';

/** What a kept segment costs besides its bytes. */
const segmentCostBytes = 512;

/** Dropping a segment only costs reading it again. */
export class SegmentShelf {
  readonly #buffers: BufferAccount;
  /** With what each costs. */
  readonly #drops = new Map<() => void, number>();

  constructor(buffers: BufferAccount) {
    this.#buffers = buffers;
  }

  /** Of so many bytes; `drop` is called when the segment must go. Returns what to call when it went by itself. */
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
