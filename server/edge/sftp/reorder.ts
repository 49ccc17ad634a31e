// Owns: putting the writes of one file into sequence within a bounded
// window, and the copies of those that arrived ahead of their place.
// Must never: keep a slice that it was given, because a small slice would keep the
// whole buffer that it belongs to, or keep a byte that no account counts (T-34).
import { CofferdamError } from '../../domain/errors.ts';

type Piece = { readonly offset: number; readonly bytes: Buffer };
/** The account in which early pieces are counted. `takeEarly` returns whether there is room. */
export type EarlyAccount = { takeEarly(bytes: number): boolean; giveEarly(bytes: number): void };

/** What a kept piece costs besides its bytes. */
const pieceCostBytes = 256;
/** The largest number of early pieces. Clients that write in parallel are about 64 writes ahead. */
const piecesMax = 256;

/** The refusal of a WRITE that is further ahead than the window reaches. */
export const tooFar = (): CofferdamError =>
  new CofferdamError('unsupported', 'files are written from start to end; this write is too far ahead');

/** The refusal of a WRITE over bytes of this file that were received already. */
export const overwriting = (): CofferdamError =>
  new CofferdamError(
    'unsupported',
    'bytes already received cannot be overwritten; upload the file again from the start',
  );

/** Accepts writes at any offset up to `windowBytes` ahead of what is complete, and returns them in order. */
export class ReorderWindow {
  readonly #windowBytes: number;
  readonly #account: EarlyAccount;
  readonly #early = new Map<number, Piece>();
  #earlyBytes = 0;
  #position: number;

  constructor(position: number, windowBytes: number, account: EarlyAccount) {
    this.#position = position;
    this.#windowBytes = windowBytes;
    this.#account = account;
  }

  /** The offset before which everything was returned. */
  get position(): number {
    return this.#position;
  }

  get hasGap(): boolean {
    return this.#early.size > 0;
  }

  /**
   * Returns the slices that are next in sequence, in order. The caller uses them before it gives its own slices away.
   * Throws `unsupported` for a write before the position, for one too far ahead, and when there is no room for a write
   * that would have to wait.
   */
  write(offset: number, slices: readonly Buffer[]): readonly Buffer[] {
    const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
    if (bytes === 0) return [];
    if (offset < this.#position) throw overwriting();
    if (offset > this.#position) {
      this.#keep(offset, bytes, slices);
      return [];
    }
    this.#position += bytes;
    const ready: Buffer[] = [...slices];
    for (let next = this.#early.get(this.#position); next !== undefined; next = this.#early.get(this.#position)) {
      this.#early.delete(next.offset);
      this.#earlyBytes -= next.bytes.length;
      this.#account.giveEarly(next.bytes.length + pieceCostBytes);
      this.#position += next.bytes.length;
      ready.push(next.bytes);
    }
    return ready;
  }

  #keep(offset: number, bytes: number, slices: readonly Buffer[]): void {
    if (offset + bytes > this.#position + this.#windowBytes || this.#earlyBytes + bytes > this.#windowBytes)
      throw tooFar();
    if (this.#early.has(offset) || this.#early.size >= piecesMax) throw tooFar();
    if (!this.#account.takeEarly(bytes + pieceCostBytes)) throw tooFar();
    // This buffer is allocated by itself, because Node's pool would keep 8 KiB in memory for a single byte.
    const own = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (const slice of slices) at += slice.copy(own, at);
    this.#early.set(offset, { offset, bytes: own });
    this.#earlyBytes += bytes;
  }

  /** Gives up everything that waits for a gap to close, because the file is over. */
  drop(): void {
    for (const { bytes } of this.#early.values()) this.#account.giveEarly(bytes.length + pieceCostBytes);
    this.#early.clear();
    this.#earlyBytes = 0;
  }
}
