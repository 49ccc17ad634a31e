// Owns: when the client of one connection last did something, by `performance.now()`.
// Must never: count bytes that still wait in the socket for the client as bytes that moved.
import type { Socket } from 'node:net';

export class LastActivity {
  readonly #socket: Socket;
  readonly #isBusy: () => boolean;
  /** How long the session may be idle, in milliseconds; 0 before there is a session. */
  idleLifeMs = 0;
  #at = performance.now();
  /** The number of bytes that had moved when `at` was last read. */
  #moved = 0;

  /** `isBusy` returns true while a file is open or an answer is under way. */
  constructor(socket: Socket, isBusy: () => boolean) {
    this.#socket = socket;
    this.#isBusy = isBusy;
  }

  /** Records that a message of an open session arrived. */
  note(): void {
    this.#at = performance.now();
  }

  /**
   * The time of the last activity. Bytes that moved in either direction while the connection was busy
   * count as activity at the time of reading this property, which happens several times a second.
   */
  get at(): number {
    const { bytesRead, bytesWritten, writableLength } = this.#socket;
    const moved = bytesRead + bytesWritten - writableLength;
    if (moved !== this.#moved && this.#isBusy()) this.note();
    this.#moved = moved;
    return this.#at;
  }
}
