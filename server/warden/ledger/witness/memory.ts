// Owns: noticing, at each beat, that a witness has not got any more what it had, and saying so.
// Must never: let a witness that answers nothing hold up the beat; that is for the judge of what is late.
import { setTimeout as pause } from 'node:timers/promises';
import { held } from '../../../domain/detached.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import type { LedgerAlarms } from '../alarms.ts';
import type { Witness } from './witness.ts';

const answerMs = 1000;

export class WitnessMemory {
  readonly #witnesses: readonly Witness[];
  readonly #alarms: LedgerAlarms;
  /** Questions that are not answered yet: no second one is asked. */
  readonly #asked = new Map<string, Promise<string | undefined>>();

  constructor(witnesses: readonly Witness[], alarms: LedgerAlarms) {
    this.#witnesses = witnesses;
    this.#alarms = alarms;
  }

  /** What a required witness has lost; undefined: none has. */
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
