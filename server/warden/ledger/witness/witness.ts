// Owns: what a witness is, and handing it the newest checkpoint again and again until it has it.
// Must never: count a checkpoint as witnessed before the witness said that it is durable there.
import type { Logger } from '../../../observability/logger.ts';

export type Witness = {
  readonly name: string;
  readonly isRequired: boolean;
  /** Keeps a signed note; resolves when it is durable there. */
  keep(note: string): Promise<void>;
  /** The newest signed note that it has, undefined when it has none; null: it cannot tell. Throws `unavailable` when it does not answer. */
  readonly newest: (() => Promise<string | undefined>) | null;
};

const retryMs = 1000;

/** Hands over one checkpoint after the other; under a slow witness those in between are passed over. */
export class Delivery {
  readonly witness: Witness;
  readonly #log: Logger;
  #wanted: string | undefined;
  #kept: string | undefined;
  #running: Promise<void> | undefined;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(witness: Witness, log: Logger) {
    this.witness = witness;
    this.#log = log;
  }

  /** The newest note that the witness has from us. */
  get kept(): string | undefined {
    return this.#kept;
  }

  offer(note: string): void {
    this.#wanted = note;
    if (note !== this.#kept) this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** What was offered last is handed over, or one attempt at it has failed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#wanted !== undefined && this.#wanted !== this.#kept) {
      const note = this.#wanted;
      try {
        await this.witness.keep(note);
        this.#kept = note;
      } catch (error) {
        this.#log.warn({ err: error, witness: this.witness.name }, 'a witness did not take the newest checkpoint; it is tried again');
        if (this.#isStopped) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, retryMs).unref();
        });
      }
    }
  }
}
