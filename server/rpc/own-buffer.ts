// Owns: reading an accepted socket into one piece of memory of our own, which is used for every read. Otherwise Node.js
// gives each read a piece of its own, and collecting those cost more than all other work on bytes that come in.
// Must never: be the memory of two sockets, be read into while bytes in it still wait, or be larger than what the
// process counts (T-34).
//
// Node.js documents `onread` for sockets that it connects. For an accepted socket there is no documented way: its
// handle is taken out, and given to a new socket. `own-buffer-check.ts` finds out at the start whether that works here.
import { Socket } from 'node:net';

/** Where the memory of all sockets together is counted. */
export type ReadMemory = {
  /** Counts this many more bytes. Returns false, and counts nothing, when there is no room for them. */
  take(bytes: number): boolean;
  /** Counts this many more bytes, whether there is room for them or not. */
  need(bytes: number): void;
  give(bytes: number): void;
};

/**
 * Takes bytes of the other side, and returns how many of them it used. The bytes are its own until it returns. When it
 * returns fewer than it got and has paused the reader, the rest stays in its place. If it has not paused the reader, it
 * is called again with the rest.
 */
type Take = (bytes: Buffer) => number;

/** The memory of a socket whose peer sends little, in bytes. Every socket has at least this much. */
export const quietBytes = 16 * 1024;
/** The memory of a socket whose peer sends much, in bytes. */
export const busyBytes = 1024 * 1024;
/** Memory grows by this factor when a read has filled it. */
const growth = 4;
/** After this many reads in sequence that each filled at most a sixteenth of the memory, it becomes small again. */
const quietReads = 8;
/**
 * After this many bytes from consecutive reads that each filled the memory, other sockets have their turn. libuv alone
 * reads 32 times in sequence when each read fills the memory.
 */
const turnBytesMax = 2 * 1024 * 1024;
const nothing: Buffer = Buffer.alloc(0);
const discardAll = (bytes: Buffer): number => bytes.length;

export class SocketReader {
  readonly socket: Socket;
  readonly #memory: ReadMemory;
  #own = nothing;
  #countedBytes = 0;
  #take: Take = discardAll;
  /** What was read and not taken yet: a part of `#own`, or of the memory that Node.js gave. */
  #rest = nothing;
  #isPaused = true;
  /** True from when the socket was told to read no more until it is told to read on. */
  #isStopped = true;
  #isTaking = false;
  #quietReads = 0;
  #turnBytes = 0;
  #isResting = false;
  /** The largest memory that this reader may have from its next read on, in bytes. */
  bytesMax = quietBytes;

  /**
   * `accepted` comes from a server with `pauseOnConnect`. With `isOwn`, `socket` replaces `accepted`; otherwise they
   * are the same, and Node.js gives each read a piece of memory. Nothing is read before `resume`.
   */
  constructor(accepted: Socket, memory: ReadMemory, isOwn: boolean, highWaterMark?: number) {
    this.#memory = memory;
    this.#countedBytes = quietBytes;
    memory.need(quietBytes);
    this.socket = isOwn ? this.#adopt(accepted, highWaterMark) : accepted;
    this.socket.pause();
    this.socket.once('close', () => this.#leave());
    if (!isOwn) this.socket.on('data', (bytes: Buffer) => this.#arrived(bytes));
  }

  #adopt(accepted: Socket, highWaterMark: number | undefined): Socket {
    const shell = accepted as unknown as { _handle: object | null };
    const handle = shell._handle;
    if (handle === null) return accepted;
    shell._handle = null;
    this.#own = Buffer.alloc(quietBytes);
    const options = {
      handle,
      highWaterMark,
      onread: {
        buffer: () => this.#nextMemory(),
        callback: (count: number) => {
          this.#noteRead(count);
          return this.#arrived(this.#own.subarray(0, count));
        },
      },
    };
    const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
    // The server counts the accepted socket until that one is closed.
    socket.once('close', () => accepted.destroy());
    return socket;
  }

  /** Passes everything that comes from now on to `take`. */
  read(take: Take): void {
    this.#take = take;
  }

  pause(): void {
    this.#isPaused = true;
    this.#isStopped = true;
    this.socket.pause();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Goes on reading. What waits is passed on first, at once. */
  resume(): void {
    if (this.socket.destroyed || !this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isTaking) return;
    if (this.#rest.length > 0) this.#pass(this.#rest);
    this.#goOn();
  }

  /** Reads on when the socket was stopped, unless there is still a reason to wait. */
  #goOn(): void {
    if (!this.#isStopped || this.#isPaused || this.#isResting || this.#rest.length > 0 || this.socket.destroyed) return;
    this.#isStopped = false;
    this.socket.resume();
  }

  /** Takes what was read. Returns whether the socket reads on. */
  #arrived(bytes: Buffer): boolean {
    this.#pass(bytes);
    if (this.#isResting) this.#isStopped = true;
    this.#goOn();
    return !this.#isStopped;
  }

  #pass(bytes: Buffer): void {
    let rest = bytes;
    this.#isTaking = true;
    try {
      do rest = rest.subarray(this.#take(rest));
      while (rest.length > 0 && !this.#isPaused && !this.socket.destroyed);
    } finally {
      this.#isTaking = false;
      this.#rest = this.socket.destroyed ? nothing : rest;
    }
  }

  #noteRead(count: number): void {
    const isFull = count === this.#own.length;
    this.#quietReads = count > this.#own.length / growth ** 2 ? 0 : this.#quietReads + 1;
    this.#turnBytes = isFull ? this.#turnBytes + count : 0;
    if (this.#turnBytes < turnBytesMax || this.#isResting) return;
    this.#turnBytes = 0;
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      this.#goOn();
    });
  }

  /** Returns the memory for the next read. Node.js asks for it after each read, and once in the beginning. */
  #nextMemory(): Buffer {
    // What was not taken yet stays where it is, and nothing is read before it has been taken.
    if (this.#rest.length > 0) return this.#own;
    const { length } = this.#own;
    if (this.#turnBytes > 0 && length < this.bytesMax) this.#resize(Math.min(length * growth, this.bytesMax));
    else if (length > quietBytes && (this.#quietReads >= quietReads || length > this.bytesMax))
      this.#resize(quietBytes);
    return this.#own;
  }

  #resize(bytes: number): void {
    const more = bytes - this.#own.length;
    if (more > 0 && !this.#memory.take(more)) return;
    if (more < 0) this.#memory.give(-more);
    this.#countedBytes += more;
    this.#own = Buffer.alloc(bytes);
    this.#quietReads = 0;
  }

  #leave(): void {
    this.#rest = nothing;
    this.#own = nothing;
    this.#take = discardAll;
    this.#memory.give(this.#countedBytes);
    this.#countedBytes = 0;
  }
}
