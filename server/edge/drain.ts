// Owns: the orderly end of one run of an edge process. A drain ends connections without a
// login at once, sessions that are idle at its next look, and sessions with transfers when the
// transfers are done. Everything that is left when the time bound is reached is ended then.
// Must never: cut a transfer before the time bound, except between two files once half of the time is gone; or run
// longer than the bound plus the time that an edge has to report the end of its sessions to the warden (`lastWordsMs`).

import { lastWordsMs } from '../config/stop-times.ts';
import { held } from '../domain/detached.ts';
import type { Logger } from '../observability/logger.ts';

export type Drained = {
  /** The session of the connection; undefined while nobody is logged in. */
  readonly session: unknown;
  /** Returns how long the client has been idle, in milliseconds; 0 while a file is open or an answer is under way. */
  quietForMs(): number;
  end(reason: 'drained'): void;
};

/** The interval at which the drain looks at all connections, in milliseconds. */
const lookEveryMs = 100;
/**
 * A session is idle when its client has asked for nothing for this long.
 * A client that transfers a batch asks again at once after each file.
 */
const idleMs = 2000;

export class Drain {
  readonly #connections: ReadonlySet<Drained>;
  readonly #lastWords: ReadonlySet<Promise<void>>;
  readonly #log: Logger;
  readonly #settle: () => void;
  #startedAt = 0;
  #deadline = 0;
  #timer: NodeJS.Timeout | undefined;
  /**
   * Resolves when all connections have ended and the warden knows what
   * became of them, or when the bound has passed by `lastWordsMs`.
   */
  readonly over: Promise<void>;

  constructor(connections: ReadonlySet<Drained>, lastWords: ReadonlySet<Promise<void>>, log: Logger) {
    this.#connections = connections;
    this.#lastWords = lastWords;
    this.#log = log;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = held(promise);
    this.#settle = resolve;
  }

  get isOrdered(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Orders the drain to end within `withinMs` milliseconds from
   * now. Each further order replaces the bound of the one before.
   */
  order(withinMs: number): void {
    const now = performance.now();
    this.#deadline = now + withinMs;
    if (this.isOrdered) return;
    this.#startedAt = now;
    this.#log.info({ connections: this.#connections.size, withinMs }, 'draining: no new sessions, transfers finish');
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const isLate = now >= this.#deadline;
    // Once half of the time is gone, a client that never pauses is ended between two
    // of its files. This is better for the client than an end in the middle of a file.
    const patienceMs = now >= (this.#startedAt + this.#deadline) / 2 ? 0 : idleMs;
    let transferring = 0;
    for (const connection of [...this.#connections]) {
      const quietMs = connection.quietForMs();
      if (isLate || connection.session === undefined || (quietMs > 0 && quietMs >= patienceMs))
        connection.end('drained');
      else transferring += 1;
    }
    if (transferring > 0) return;
    const isSaid = this.#connections.size + this.#lastWords.size === 0;
    if (!isSaid && now < this.#deadline + lastWordsMs) return;
    this.stop();
    this.#log.info({ isSaid, tookMs: Math.round(now - this.#startedAt) }, 'drained');
    this.#settle();
  }
}
