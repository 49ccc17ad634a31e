// Owns: the connections of one edge, and what connections that have ended still have to tell the warden.
// Must never: remove a connection from `open` without adding its final report to `lastWords` in the same step. Whoever
// waits until both are empty would stop too early.
import { lastWordsMs } from '../config/stop-times.ts';
import { detach } from '../domain/detached.ts';
import type { SessionEnd } from '../domain/session-ends.ts';
import type { Logger } from '../observability/logger.ts';
import type { Connection } from './transport/connection.ts';

export class Clients {
  readonly open = new Set<Connection>();
  readonly lastWords = new Set<Promise<void>>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Takes a connection that has ended out of the set. `words` resolves when the warden knows what became of its
   * session.
   */
  left(connection: Connection, words: Promise<void>): void {
    this.open.delete(connection);
    this.lastWords.add(words);
    detach(
      words.finally(() => this.lastWords.delete(words)),
      (error) => this.#log.error({ err: error }, 'defect while ending a connection'),
    );
  }

  /** Ends the connection of one session. */
  terminate(session: string, reason: SessionEnd): void {
    for (const connection of this.open) if (connection.session?.id === session) connection.end(reason);
  }

  /** Lets every connection continue when the lease is live again after a loss. */
  resume(): void {
    for (const connection of this.open) connection.resume();
  }

  /** Resolves when no login and no key exchange is half done, or after `withinMs` milliseconds. */
  settled(withinMs: number): Promise<void> {
    return until(withinMs, () => ![...this.open].some((connection) => connection.isUnsettled));
  }

  /**
   * Waits `transfersMs` milliseconds at most for transfers, then ends every connection and waits for all last words,
   * `lastWordsMs` at most.
   */
  async end(transfersMs: number): Promise<void> {
    await until(transfersMs, () => ![...this.open].some((connection) => connection.isTransferring));
    for (const connection of this.open) connection.end('drained');
    // After its socket has closed, each connection reports the end of its session to
    // the warden, and each upload is interrupted with all bytes that were acknowledged.
    await until(lastWordsMs, () => this.open.size + this.lastWords.size === 0);
  }
}

/** Resolves when `isSo` returns true, or after `waitMs` milliseconds. `isSo` is asked every 50 ms. */
async function until(waitMs: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!isSo() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
}
