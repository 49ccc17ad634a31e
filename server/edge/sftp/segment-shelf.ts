// Owns: which opened segments one session keeps, over all its files: the newest, within its share.

/** Dropping a segment only costs reading it again. */
export class SegmentShelf {
  readonly #segmentsMax: () => number;
  readonly #drops = new Set<() => void>();

  constructor(segmentsMax: () => number) {
    this.#segmentsMax = segmentsMax;
  }

  /** `drop` is called when the segment must go. Returns what to call when it went by itself. */
  keep(drop: () => void): () => void {
    this.#drops.add(drop);
    const most = this.#segmentsMax();
    for (const oldest of this.#drops) {
      if (this.#drops.size <= most) break;
      this.#drops.delete(oldest);
      oldest();
    }
    return () => this.#drops.delete(drop);
  }
}
