// Owns: sockets that have shown nobody's right to be here: so many and no more (T-38).
// Must never: refuse a newcomer: the oldest goes, for who speaks is done in milliseconds.
import type { Duplex } from 'node:stream';
import type { Share } from '../domain/share.ts';

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

  /** It has shown who it is. */
  remove(socket: Duplex): void {
    this.#here.delete(socket);
  }

  end(): void {
    for (const socket of this.#here) socket.destroy();
  }
}
