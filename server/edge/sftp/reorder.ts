// Owns: putting writes into sequence within a bounded window. Pure: no I/O, no copies.
import { CofferdamError } from '../../domain/errors.ts';

type Piece = { readonly offset: number; readonly slices: readonly Buffer[]; readonly bytes: number };

/** Accepts writes at any offset within `windowBytes` ahead of what is complete; gives them out in order. */
export class ReorderWindow {
  readonly #windowBytes: number;
  readonly #early = new Map<number, Piece>();
  #earlyBytes = 0;
  #position: number;

  constructor(position: number, windowBytes: number) {
    this.#position = position;
    this.#windowBytes = windowBytes;
  }

  /** Everything before this offset was given out. */
  get position(): number {
    return this.#position;
  }

  get hasGap(): boolean {
    return this.#early.size > 0;
  }

  /** The slices that are next in sequence now, in order. Throws `unsupported` for writes behind the position or too far ahead. */
  write(offset: number, slices: readonly Buffer[]): readonly Buffer[] {
    const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
    if (bytes === 0) return [];
    if (offset < this.#position) throw new CofferdamError('unsupported', 'what was written cannot be written again; start the file anew');
    if (offset > this.#position) {
      if (offset + bytes > this.#position + this.#windowBytes || this.#early.has(offset) || this.#earlyBytes + bytes > this.#windowBytes)
        throw new CofferdamError('unsupported', 'files are written from start to end; this write is too far ahead');
      this.#early.set(offset, { offset, slices, bytes });
      this.#earlyBytes += bytes;
      return [];
    }
    this.#position += bytes;
    const ready: Buffer[] = [...slices];
    for (let next = this.#early.get(this.#position); next !== undefined; next = this.#early.get(this.#position)) {
      this.#early.delete(next.offset);
      this.#earlyBytes -= next.bytes;
      this.#position += next.bytes;
      ready.push(...next.slices);
    }
    return ready;
  }
}
