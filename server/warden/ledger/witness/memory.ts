// Owns: noticing, in each beat, that a witness no longer has the checkpoint that it had, and raising the alarm about it.
// Must never: let a witness that does not answer delay the beat for longer than a second; `LagClock` judges what is late.
import { setTimeout as pause } from 'node:timers/promises';
import { held } from '../../../domain/detached.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import type { LedgerAlarms } from '../alarms.ts';
import type { Witness } from './witness.ts';

const answerMs = 1000;

/** Asks every witness in each beat whether it still has the checkpoint that it had. */
export class WitnessMemory {
  readonly #witnesses: readonly Witness[];
  readonly #alarms: LedgerAlarms;
  /** The questions that are not answered yet. No second question is asked meanwhile. */
  readonly #asked = new Map<string, Promise<string | undefined>>();

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
      const until = one.isRequired ? '; nothing is served until it is there again' : '; it is not required, and everything goes on';
      await this.#alarms.raise('ledger.witness-lost', `${text}${until}`, { witness: one.name, isRequired: one.isRequired }, one.name);
    }
    return required;
  }

  #ask(one: Witness): Promise<string | undefined> {
    const { name } = one;
    if (one.check === undefined) return Promise.resolve(undefined);
    const question =
      this.#asked.get(name) ??
      one
        .check()
        .then(() => undefined)
        .catch((error: unknown) => (error instanceof CofferdamError && error.code === 'corrupt' ? error.message : undefined))
        .finally(() => this.#asked.delete(name));
    this.#asked.set(name, held(question));
    return Promise.race([question, pause(answerMs, undefined, { ref: false })]);
  }
}
