// Owns: the orderly end of one run of an edge: strangers go at once, idle sessions politely, transfers when they are done, the rest at the bound.
// Must never: cut a transfer before the bound, or outlive it by more than the last words take.

import { lastWordsMs } from '../config/stop-times.ts';
import { held } from '../domain/detached.ts';
import type { Logger } from '../observability/logger.ts';

export type Drained = {
  /** Undefined: not logged in. */
  readonly session: unknown;
  /** 0 while a file is open or an answer is under way. */
  quietForMs(): number;
  end(reason: 'drained'): void;
};

const lookEveryMs = 100;
/** Between two files of a batch a client asks again at once; who has asked for nothing for so long is idle. */
const idleMs = 2000;

export class Drain {
  readonly #connections: ReadonlySet<Drained>;
  readonly #lastWords: ReadonlySet<Promise<void>>;
  readonly #log: Logger;
  readonly #settle: () => void;
  #startedAt = 0;
  #deadline = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Resolves when nobody is left and everything is said. */
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

  /** The newest word on the bound counts. */
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
    // A client that never pauses is ended between two of its files, once half the time is gone: politer than in the middle of one.
    const patienceMs = now >= (this.#startedAt + this.#deadline) / 2 ? 0 : idleMs;
    let transferring = 0;
    for (const connection of [...this.#connections]) {
      const quietMs = connection.quietForMs();
      if (isLate || connection.session === undefined || (quietMs > 0 && quietMs >= patienceMs)) connection.end('drained');
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
