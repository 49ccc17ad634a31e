// Owns: noticing, in each beat, that a witness no longer has the checkpoint that it had, and raising the alert about
// it.
// Must never: let a required witness that does not answer delay the beat for longer than a second (`LagClock` judges
// what is late), or another witness delay it at all.
import { setTimeout as pause } from 'node:timers/promises';
import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { LedgerAlarms } from './alarms.ts';
import type { Witness } from './witness/witness.ts';

const answerMs = 1000;

/** Asks every witness in each beat whether it still has the checkpoint that it had. */
export class WitnessMemory {
  readonly #witnesses: readonly Witness[];
  readonly #alarms: LedgerAlarms;
  /** The questions that are not answered yet. No second question is asked meanwhile. */
  readonly #asked = new Map<string, Promise<string | undefined>>();
  /** What witnesses that are not required have answered since the last beat. */
  readonly #answered = new Map<string, string>();

  constructor(witnesses: readonly Witness[], alarms: LedgerAlarms) {
    this.#witnesses = witnesses;
    this.#alarms = alarms;
  }

  /** Returns the text about a required witness that has lost its checkpoint, or undefined when none has. */
  async lost(): Promise<string | undefined> {
    const all = await Promise.all(this.#witnesses.map(async (one) => ({ one, text: await this.#ask(one) })));
    let required: string | undefined;
    for (const { one, text } of all) {
      if (text === undefined) continue;
      if (one.isRequired) required ??= text;
      const until = one.isRequired
        ? '; nothing is served until it is there again'
        : '; it is not required, and everything goes on';
      await this.#alarms.raise(
        'ledger.witness-lost',
        `${text}${until}`,
        { witness: one.name, isRequired: one.isRequired },
        one.name,
      );
    }
    return required;
  }

  #ask(one: Witness): Promise<string | undefined> {
    if (one.check === undefined) return Promise.resolve(undefined);
    const question = this.#asked.get(one.name) ?? this.#question(one, one.check());
    if (one.isRequired) return Promise.race([question, pause(answerMs, undefined, { ref: false })]);
    const answered = this.#answered.get(one.name);
    this.#answered.delete(one.name);
    return Promise.resolve(answered);
  }

  #question({ name, isRequired }: Witness, check: Promise<void>): Promise<string | undefined> {
    const question = held(
      check
        .then(() => undefined)
        .catch((error: unknown) =>
          error instanceof CofferdamError && error.code === 'corrupt' ? error.message : undefined,
        )
        .then((text) => {
          this.#asked.delete(name);
          if (text !== undefined && !isRequired) this.#answered.set(name, text);
          return text;
        }),
    );
    this.#asked.set(name, question);
    return question;
  }
}
