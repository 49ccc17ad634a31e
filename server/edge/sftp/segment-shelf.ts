// Owns: which opened segments one session keeps, over all its files: the newest, as far as the process has room.
import { segmentBytes } from '../../extents/sealed-format.ts';
import type { BufferAccount } from '../sftp-seam.ts';

/** Dropping a segment only costs reading it again. */
export class SegmentShelf {
  readonly #buffers: BufferAccount;
  readonly #drops = new Set<() => void>();

  constructor(buffers: BufferAccount) {
    this.#buffers = buffers;
  }

  /** `drop` is called when the segment must go. Returns what to call when it went by itself. */
  keep(drop: () => void): () => void {
    this.#drops.add(drop);
    this.#buffers.addSegments(segmentBytes);
    for (const oldest of this.#drops) {
      if (oldest === drop || this.#buffers.hasSegmentRoom) break;
      this.#forget(oldest);
      oldest();
    }
    return () => this.#forget(drop);
  }

  #forget(drop: () => void): void {
    if (this.#drops.delete(drop)) this.#buffers.addSegments(-segmentBytes);
  }
}
