// Owns: the pace of one socket, and the memory in which bytes leave. What is sent within one turn of the event loop
// leaves with one write, at most 256 KiB. Reading pauses while too much waits to be written, while other connections
// have their turn, and for a short while when a channel cannot take more.
// Must never: resume reading for one of these reasons while the other still holds, use memory again before the socket
// has written it, or write a byte beyond what was filled in.
import type { SocketReader } from '../../rpc/own-buffer.ts';
import { bounds } from './connection-bounds.ts';

/** One piece of memory in which packets are put together, in bytes. */
export const pieceBytes = 256 * 1024;
/**
 * What is shorter than this leaves in memory of its size, so that a slow client does not hold a piece for a few bytes.
 */
const ownPieceMin = pieceBytes / 2;
/** How many pieces the process keeps for the next writes. What remains in them is what went over the wire. */
const keptMax = 16;
const kept: Buffer[] = [];
const nothing: Buffer = Buffer.alloc(0);

const takePiece = (): Buffer => kept.pop() ?? Buffer.alloc(pieceBytes);
function givePiece(piece: Buffer): void {
  if (kept.length < keptMax) kept.push(piece);
}

type Host = { readonly reader: SocketReader; readonly waitingMax: number; onRoom(): void };

export class Outbound {
  readonly #host: Host;
  /** The piece that is being filled, and how much of it is. */
  #piece = nothing;
  #filled = 0;
  #isFlushDue = false;
  /** The memory that the socket has not written yet, in bytes. */
  #heldBytes = 0;
  #isFull = false;
  /**
   * The number of bytes written, counted here because `socket.bytesWritten` visits everything that waits, at every
   * call.
   */
  writtenBytes = 0;
  #isResting = false;
  #taken = 0;
  /** Whoever asked to let bytes wait where they are; and whether they do, which is so for a short while only. */
  readonly #holders = new Set<object>();
  #holding: NodeJS.Timeout | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The memory that waits to be written, in bytes. */
  get waitingBytes(): number {
    return this.#heldBytes + this.#filled;
  }

  /** True while nothing more is to be read from the client. */
  get isHolding(): boolean {
    return this.#isFull || this.#isResting || this.#holding !== undefined;
  }

  /** Returns memory for the next `bytes` bytes. `filled` follows at once, or the connection ends. */
  room(bytes: number): Buffer {
    if (this.#filled + bytes > this.#piece.length) {
      this.flush();
      // No packet is longer than a piece.
      this.#piece = bytes > pieceBytes ? Buffer.alloc(bytes) : takePiece();
    }
    return this.#piece.subarray(this.#filled, this.#filled + bytes);
  }

  /**
   * Records that the memory of `room` is filled. Returns false when more than four times the bound
   * is waiting: the client does not read, and the connection must end.
   */
  filled(bytes: number): boolean {
    if (this.#host.reader.socket.destroyed) {
      this.#piece = nothing;
      this.#filled = 0;
      return true;
    }
    this.#filled += bytes;
    this.writtenBytes += bytes;
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      process.nextTick(() => {
        this.#isFlushDue = false;
        this.flush();
      });
    }
    const { waitingBytes } = this;
    if (waitingBytes > 4 * this.#host.waitingMax) return false;
    if (waitingBytes > this.#host.waitingMax) {
      this.#isFull = true;
      this.#host.reader.pause();
    }
    return true;
  }

  /** Sends bytes that somebody else put together. Returns what `filled` returns. */
  write(data: Uint8Array): boolean {
    if (this.#host.reader.socket.destroyed) return true;
    this.room(data.length).set(data);
    return this.filled(data.length);
  }

  /** Writes what is filled. It is called in every turn by itself. */
  flush(): void {
    const [piece, filled] = [this.#piece, this.#filled];
    this.#piece = nothing;
    this.#filled = 0;
    if (filled === 0) return;
    const isShort = filled < ownPieceMin || piece.length > pieceBytes;
    const memory = isShort ? Buffer.from(piece.subarray(0, filled)) : piece;
    if (isShort && piece.length === pieceBytes) givePiece(piece);
    const { socket } = this.#host.reader;
    if (socket.destroyed) return;
    this.#heldBytes += memory.length;
    socket.write(memory.subarray(0, filled), (error) => {
      this.#heldBytes -= memory.length;
      if (socket.destroyed) return;
      // After an error nobody knows who still reads this memory.
      if (!isShort && (error === undefined || error === null)) givePiece(memory);
      this.#written();
    });
  }

  #written(): void {
    if (this.#isFull && this.#heldBytes === 0) {
      this.#isFull = false;
      this.#resume();
    }
    this.#host.onRoom();
  }

  /**
   * Counts a received message. After `messagesPerTurnMax` messages nothing more is read in this turn of
   * the event loop: one read may be 30,000 messages of one byte (T-34).
   */
  tookMessage(): void {
    this.#taken += 1;
    if (this.#taken < bounds.messagesPerTurnMax || this.#isResting) return;
    this.#taken = 0;
    this.#isResting = true;
    this.#host.reader.pause();
    setImmediate(() => {
      this.#isResting = false;
      this.#resume();
    });
  }

  /**
   * Lets what the client sends wait where it is while `by` cannot take more, so that nobody has to copy it. After a
   * short while it is read all the same, because it may be for somebody else.
   */
  hold(by: object, isHeld: boolean): void {
    if (!isHeld) {
      if (this.#holders.delete(by) && this.#holding !== undefined) process.nextTick(() => this.#letGoIfFree());
    } else if (!this.#holders.has(by)) {
      this.#holders.add(by);
      this.#host.reader.pause();
      if (this.#holding === undefined) this.#holding = setTimeout(() => this.#letGo(), bounds.heldMsMax);
      else this.#holding.refresh();
    }
  }

  #letGoIfFree(): void {
    if (this.#holders.size === 0) this.#letGo();
  }

  #letGo(): void {
    clearTimeout(this.#holding);
    this.#holding = undefined;
    this.#resume();
  }

  #resume(): void {
    if (!this.isHolding && !this.#host.reader.socket.destroyed) this.#host.reader.resume();
  }
}
