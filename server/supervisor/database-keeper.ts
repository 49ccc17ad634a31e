// Owns: the embedded database for as long as the supervisor lives. The database is started again when it dies.

import { detach, held, unexpected } from '../domain/detached.ts';
import type { Logger } from '../observability/logger.ts';
import { type EmbeddedOptions, type EmbeddedServer, socketUrl, startEmbedded } from '../postgres/embedded.ts';

const pauseMs = 500;

export class DatabaseKeeper {
  readonly #options: EmbeddedOptions;
  readonly #log: Logger;
  /** The newest start. A stop must wait for it, or it would leave a server behind. */
  #starting: Promise<EmbeddedServer | undefined> = Promise.resolve(undefined);
  #isStopping = false;

  constructor(options: EmbeddedOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  url(database: string): string {
    return socketUrl(this.#options.socketDirectory, 'postgres', this.#options.superuserPassword, database);
  }

  async start(): Promise<void> {
    const starting = startEmbedded(this.#options);
    this.#starting = held(starting.catch(() => undefined));
    const server = await starting;
    server.onExit(() => {
      if (this.#isStopping) return;
      this.#log.error('the embedded database died; it is started again');
      detach(this.#again(), unexpected);
    });
  }

  async #again(): Promise<void> {
    while (!this.#isStopping) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (this.#isStopping) return;
      try {
        await this.start();
        return;
      } catch (error) {
        this.#log.error({ err: error }, 'the embedded database could not be started again');
      }
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const server = await this.#starting;
    await server?.stop();
  }
}
