// Owns: writing to the socket: corked per turn of the loop, with reading paused while too much waits.
import type { Socket } from 'node:net';

export class Outbound {
  readonly #socket: Socket;
  readonly #waitingMax: number;
  #isCorked = false;

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
    if (socket.writableLength > 4 * this.#waitingMax) return false;
    if (socket.writableLength > this.#waitingMax) socket.pause();
    return true;
  }

  drained(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}
