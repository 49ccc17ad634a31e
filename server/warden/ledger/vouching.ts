// Owns: asking every witness for the newest checkpoint that it has, when the record is compared with them.
// Must never: let a witness that is not required stop or hold up what is compared, or let its silence or its false
// notes go unsaid.
import { bounded } from '../../domain/bounded.ts';
import { held } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { LedgerAlarms } from './alarms.ts';
import type { Vouched } from './comparison.ts';
import type { Signing } from './seal.ts';
import type { Witness } from './witness/witness.ts';

/** The time within which a witness must answer, in milliseconds. A witness that is not required has less. */
const answerMs = { required: 15_000, other: 3000 } as const;
/** How long a witness that is not required has, in milliseconds, when it did not answer the last time. */
const silentMs = 100;

export class Vouching {
  readonly #witnesses: readonly Witness[];
  readonly #alarms: LedgerAlarms;
  readonly #log: Logger;
  readonly #silent = new Set<string>();

  constructor(witnesses: readonly Witness[], alarms: LedgerAlarms, log: Logger) {
    this.#witnesses = witnesses;
    this.#alarms = alarms;
    this.#log = log;
  }

  /**
   * Returns the newest genuine checkpoint of every witness that has one. Throws when a required witness does not answer
   * or holds what cannot be believed; of the others an alert names each of which that is so.
   */
  async ask(signing: Signing): Promise<readonly Vouched[]> {
    const all = await Promise.all(this.#witnesses.map((one) => this.#one(one, signing)));
    return all.filter((one) => one !== undefined);
  }

  async #one(witness: Witness, { signer }: Signing): Promise<Vouched | undefined> {
    const { name, isRequired, newest } = witness;
    if (newest === null) return undefined;
    const withinMs = isRequired ? answerMs.required : this.#silent.has(name) ? silentMs : answerMs.other;
    try {
      const note = await bounded(withinMs, `the witness ${name}`, held(newest(signer.verifierKey)));
      this.#silent.delete(name);
      if (witness.doubt !== undefined) await this.#tell(name, witness.doubt);
      if (note === undefined) return undefined;
      const { era, size, root, time } = signer.open(note);
      return { witness: name, by: `the witness ${name}`, era, size, root, time };
    } catch (error) {
      if (isRequired) throw error;
      this.#silent.add(name);
      await this.#tell(name, toCofferdamError(error).message);
      return undefined;
    }
  }

  async #tell(witness: string, why: string): Promise<void> {
    const text = `the record is not compared with all that the witness ${witness} has: ${why}; it is not required, and everything goes on`;
    await this.#alarms
      .raise('ledger.witness-fault', text.slice(0, 600), { witness }, witness)
      .catch((error: unknown) =>
        this.#log.warn({ err: error, witness }, 'an alarm about a witness could not be written'),
      );
  }
}
