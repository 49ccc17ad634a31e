// Owns: the interface of a witness, and delivering the newest checkpoint to a witness again and again until it has it.
// Must never: count a checkpoint as witnessed before the witness has confirmed that it is durable there.

import { happens } from '../../../domain/bounded.ts';
import { held } from '../../../domain/detached.ts';
import { toCofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import type { Logger } from '../../../observability/logger.ts';

export type Witness = {
  readonly name: string;
  readonly isRequired: boolean;
  /** Keeps a signed note. Resolves when the note is durable at the witness. */
  keep(note: string): Promise<void>;
  /**
   * Returns the newest note of the witness that `verifierKey` has signed (any well-formed note when it is absent), or
   * undefined when it has none. The property is null when the witness cannot be read. Throws `unavailable` when the
   * witness does not answer, and `corrupt` when a witness that is required holds what cannot be believed.
   */
  readonly newest: ((verifierKey?: string) => Promise<string | undefined>) | null;
  /** What the last call of `newest` found at a witness that is not required and could not believe, as a sentence. */
  readonly doubt?: string | undefined;
  /**
   * Throws `corrupt` when the witness no longer has the newest note that it had. Called in each beat, so it must be
   * cheap. Absent when the witness cannot tell.
   */
  check?(): Promise<void>;
  /** Closes what the witness holds open. The next `keep` opens it again. */
  close?(): Promise<void>;
};

const retryMs = 1000;
/**
 * How long a stop waits for a last delivery. A witness that is not required has less time, as nothing depends on it.
 */
const lastMs = { required: 12_000, other: 1000 } as const;
/** A note to deliver. `since`: when the oldest note was offered in whose place it stands, by the monotonic clock. */
type Offered = { readonly note: string; readonly isFirst: boolean; readonly offeredAt: number; since: number };
const eraOf = (note: string): number => parseNote(note).checkpoint.era;

/** Delivers one checkpoint after the other. When the witness is slow, those in between are skipped. */
export class Delivery {
  readonly witness: Witness;
  readonly #log: Logger;
  /** The notes to deliver, oldest first; at most two of one era. */
  readonly #waiting: Offered[] = [];
  #kept: string | undefined;
  #running: Promise<void> | undefined;
  /** Why the last attempt failed. */
  #why: string | undefined;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(witness: Witness, log: Logger) {
    this.witness = witness;
    this.#log = log;
  }

  /** The newest note that the witness has taken from this process. */
  get kept(): string | undefined {
    return this.#kept;
  }

  /**
   * Says for how long the witness has not had everything that was offered, and why the last attempt failed, if one did.
   */
  get behind(): { readonly ms: number; readonly why: string | undefined } | undefined {
    return this.#waiting.length === 0 ? undefined : { ms: this.behindMs, why: this.#why };
  }

  /**
   * For how many milliseconds, by the monotonic clock of this process, the witness has been offered a note and has
   * taken neither that one nor a newer one; 0 when it has everything.
   */
  get behindMs(): number {
    const [oldest] = this.#waiting;
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  /**
   * Offers a note. A newer note replaces one that still waits, except the first of an era: it says from where the era
   * continues, so every witness must get it.
   */
  offer(note: string): void {
    const last = this.#waiting.at(-1);
    if (note === (last?.note ?? this.#kept)) return;
    const before = last?.note ?? this.#kept;
    const isFirst = before === undefined || eraOf(before) !== eraOf(note);
    // What takes the place of a note has waited since that one was offered.
    const replaced = last !== undefined && !isFirst && !last.isFirst ? this.#waiting.pop() : undefined;
    const offeredAt = performance.now();
    this.#waiting.push({ note, isFirst, offeredAt, since: replaced?.since ?? offeredAt });
    this.#running ??= held(this.#run().finally(() => (this.#running = undefined)));
  }

  /** Stops after the last offered note was delivered, or after one attempt failed, or after a bound. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    if (this.#running !== undefined)
      await happens(this.witness.isRequired ? lastMs.required : lastMs.other, this.#running);
    await this.witness.close?.();
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await this.witness.keep(next.note);
        this.#kept = next.note;
        this.#why = undefined;
        const [first] = this.#waiting;
        if (first === next) this.#waiting.splice(this.#waiting.indexOf(next), 1);
        // A note that was offered while this one was on its way replaced it, and counts its own waiting from now on.
        else if (first !== undefined) first.since = first.offeredAt;
      } catch (error) {
        this.#why = toCofferdamError(error).message;
        this.#log.warn(
          { err: error, witness: this.witness.name },
          'a witness did not take the newest checkpoint; it is tried again',
        );
        if (this.#isStopped) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, retryMs).unref();
        });
      }
    }
  }
}
