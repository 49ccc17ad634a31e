// Owns: the sockets that have not yet shown any right to be here, and the limit of their number (T-38).
// Must never: refuse a new socket. The oldest one is closed instead, because an honest client authenticates within
// milliseconds.
import type { Duplex } from 'node:stream';
import type { Share } from '../../domain/share.ts';

/** A bounded set of unauthenticated sockets. */
export class Guests {
  readonly #max: number;
  readonly #here = new Set<Duplex>();

  constructor({ total }: Pick<Share, 'total'>) {
    this.#max = total;
  }

  add(socket: Duplex): void {
    this.#here.add(socket);
    socket.once('close', () => this.#here.delete(socket));
    const [oldest] = this.#here;
    if (this.#here.size > this.#max) oldest?.destroy();
  }

  /** Removes a socket that has authenticated. */
  remove(socket: Duplex): void {
    this.#here.delete(socket);
  }

  end(): void {
    for (const socket of this.#here) socket.destroy();
  }
}
