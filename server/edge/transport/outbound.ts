// Owns: the pace of one socket. Writes are corked for one turn of the event loop. Reading
// pauses while too much waits to be written, and while other connections have their turn.
// Must never: resume reading for one of these reasons while the other still holds.
import type { Socket } from 'node:net';
import { bounds } from './connection-bounds.ts';

export class Outbound {
  readonly #socket: Socket;
  readonly #waitingMax: number;
  #isCorked = false;
  #isFull = false;
  /**
   * The number of bytes written, counted here because `socket.bytesWritten` visits everything that waits, at every
   * call.
   */
  writtenBytes = 0;
  #isResting = false;
  #taken = 0;

  constructor(socket: Socket, waitingMax: number) {
    this.#socket = socket;
    this.#waitingMax = waitingMax;
  }

  /**
   * Writes to the socket. Returns false when more than four times the bound
   * is waiting: the client does not read, and the connection must end.
   */
  write(data: Buffer): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return true;
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    socket.write(data);
    this.writtenBytes += data.length;
    if (socket.writableLength > 4 * this.#waitingMax) return false;
    if (socket.writableLength > this.#waitingMax) {
      this.#isFull = true;
      socket.pause();
    }
    return true;
  }

  drained(): void {
    this.#isFull = false;
    this.#resume();
  }

  /**
   * Counts a received message. After `messagesPerTurnMax` messages nothing more is read in this turn of
   * the event loop: libuv reads up to 2 MiB at once, which may be 50,000 messages of one byte (T-34).
   */
  tookMessage(): void {
    this.#taken += 1;
    if (this.#taken < bounds.messagesPerTurnMax || this.#isResting) return;
    this.#taken = 0;
    this.#isResting = true;
    this.#socket.pause();
    setImmediate(() => {
      this.#isResting = false;
      this.#resume();
    });
  }

  #resume(): void {
    if (!this.#isFull && !this.#isResting && !this.#socket.destroyed && this.#socket.isPaused()) this.#socket.resume();
  }
}
