// Owns: what a witness is, and handing it the newest checkpoint again and again until it has it.
// Must never: count a checkpoint as witnessed before the witness said that it is durable there.

import { held } from '../../../domain/detached.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import type { Logger } from '../../../observability/logger.ts';

export type Witness = {
  readonly name: string;
  readonly isRequired: boolean;
  /** Keeps a signed note; resolves when it is durable there. */
  keep(note: string): Promise<void>;
  /** The newest signed note that it has, undefined when it has none; null: it cannot tell. Throws `unavailable` when it does not answer. */
  readonly newest: (() => Promise<string | undefined>) | null;
  /** Throws `corrupt` when it has not got any more what it had. Cheap: asked at each beat. Absent: it cannot tell. */
  check?(): Promise<void>;
  /** Lets go of what it holds open; whoever keeps a note again opens it anew. */
  close?(): Promise<void>;
};

const retryMs = 1000;
const eraOf = (note: string): number => parseNote(note).checkpoint.era;

/** Hands over one checkpoint after the other; under a slow witness those in between are passed over. */
export class Delivery {
  readonly witness: Witness;
  readonly #log: Logger;
  /** Oldest first; two of an era at most. */
  readonly #waiting: { readonly note: string; readonly isFirst: boolean }[] = [];
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

  /** The newest one is enough, but for the first of an era: it says where the era goes on, and every witness has to see it. */
  offer(note: string): void {
    const last = this.#waiting.at(-1);
    if (note === (last?.note ?? this.#kept)) return;
    const before = last?.note ?? this.#kept;
    const isFirst = before === undefined || eraOf(before) !== eraOf(note);
    if (last !== undefined && !isFirst && !last.isFirst) this.#waiting.pop();
    this.#waiting.push({ note, isFirst });
    this.#running ??= held(this.#run().finally(() => (this.#running = undefined)));
  }

  /** What was offered last is handed over, or one attempt at it has failed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    await this.#running;
    await this.witness.close?.();
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await this.witness.keep(next.note);
        this.#kept = next.note;
        if (this.#waiting[0] === next) this.#waiting.splice(this.#waiting.indexOf(next), 1);
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
