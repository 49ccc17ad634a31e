// Owns: when the client of one connection last did something, by `performance.now()`.
// Must never: take bytes that wait for a client as bytes that move, or a message that asks for nothing as activity of its own.
import type { Socket } from 'node:net';

export class LastActivity {
  readonly #socket: Socket;
  readonly #isBusy: () => boolean;
  /** How long its session may be idle; 0 before there is one. */
  idleLifeMs = 0;
  #at = performance.now();
  /** Bytes that had moved when that was last looked at. */
  #moved = 0;

  /** `isBusy`: a file is open, or an answer is under way. */
  constructor(socket: Socket, isBusy: () => boolean) {
    this.#socket = socket;
    this.#isBusy = isBusy;
  }

  /** A message of an open session. */
  note(): void {
    this.#at = performance.now();
  }

  /** Bytes that moved, either way, while the connection was busy count from when they are seen: it is asked several times a second. */
  get at(): number {
    const { bytesRead, bytesWritten, writableLength } = this.#socket;
    const moved = bytesRead + bytesWritten - writableLength;
    if (moved !== this.#moved && this.#isBusy()) this.note();
    this.#moved = moved;
    return this.#at;
  }
}
