// Owns: the pace of one socket: writing is corked per turn of the loop; reading pauses while too much waits to be written, and while others have
// their turn.
// Must never: read on for one reason while another says no.
import type { Socket } from 'node:net';
import { bounds } from './connection-bounds.ts';

export class Outbound {
  readonly #socket: Socket;
  readonly #waitingMax: number;
  #isCorked = false;
  #isFull = false;
  /** Our own count: `socket.bytesWritten` walks everything that waits, at each call. */
  writtenBytes = 0;
  #isResting = false;
  #taken = 0;

  constructor(socket: Socket, waitingMax: number) {
    this.#socket = socket;
    this.#waitingMax = waitingMax;
  }

  /** False when the peer takes nothing and the connection must end: four times the bound is waiting. */
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

  /** After so many messages nothing more is read in this turn of the loop: libuv takes up to 2 MiB at once, 50,000 messages of one byte (T-34). */
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
