// Owns: a witness that is a directory, preferably on another mount, and the memory of the newest note that it had.
// Must never: touch a file of the directory in the process of the warden: `witness-directory.ts` does, in another one.
import { happens } from '../../../domain/bounded.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import { compareRanks } from './rank.ts';
import type { Witness } from './witness.ts';
import type { Kept, Mark, Newest } from './witness-directory.ts';
import { answerMs, WitnessProcess } from './witness-process.ts';

/** How long closing waits for the process before it is killed. Every note that was kept is durable already. */
const closeMs = 500;

/** A witness in a directory. `keep` appends a line and syncs it. */
export class FileWitness implements Witness {
  readonly name: string;
  readonly isRequired: boolean;
  readonly #directory: string;
  readonly #process: WitnessProcess;
  #mark: Mark | undefined;
  /** A loss that was noticed while the witness, which is not required, went on taking notes. */
  #lost: CofferdamError | undefined;
  #doubt: string | undefined;

  constructor(name: string, isRequired: boolean, directory: string, withinMs = answerMs) {
    this.name = name;
    this.isRequired = isRequired;
    this.#directory = directory;
    this.#process = new WitnessProcess(name, directory, withinMs);
  }

  /** The id of the process that does the work, while there is one. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  get doubt(): string | undefined {
    return this.#doubt;
  }

  readonly newest = async (verifierKey?: string): Promise<string | undefined> => {
    const { note, mark, doubts } = await this.#process.ask<Newest>({ op: 'newest', key: verifierKey });
    this.#doubt =
      doubts.length === 0 ? undefined : `the witness ${this.name} holds what is not believed: ${doubts.join('; ')}`;
    if (this.#doubt !== undefined && this.isRequired)
      throw new CofferdamError(
        'corrupt',
        `${this.#doubt}; it is required, so nothing is served until a person has looked at it`,
      );
    if (mark !== undefined) this.#remember(mark);
    return note;
  };

  #remember(mark: Mark): void {
    if (this.#mark === undefined || compareRanks(mark.rank, this.#mark.rank) >= 0) this.#mark = mark;
  }

  /** Throws `corrupt` when the newest note that this witness had is gone. */
  async check(): Promise<void> {
    // A delivery may notice a loss while this question is under way: that one is told, too.
    const found = await this.#findLoss();
    const lost = this.#lost ?? found;
    this.#lost = undefined;
    if (lost !== undefined) throw lost;
  }

  async #findLoss(): Promise<CofferdamError | undefined> {
    const mark = this.#mark;
    if (mark === undefined) return undefined;
    const found = await this.#process.ask<Mark | 'lost'>({ op: 'remembered', mark });
    if (found === 'lost') return this.#loss(mark);
    if (this.#mark === mark) this.#mark = found;
    return undefined;
  }

  #loss({ rank: [era, size] }: Mark): CofferdamError {
    const text = `the witness ${this.name} has lost what it had: no checkpoint of ${size} heads, era ${era}, in ${this.#directory} any more`;
    return new CofferdamError('corrupt', text);
  }

  async keep(note: string): Promise<void> {
    parseNote(note);
    const before = this.#mark;
    const { mark, hasLost } = await this.#process.ask<Kept>({
      op: 'keep',
      note,
      mark: before,
      isRequired: this.isRequired,
    });
    if (hasLost && before !== undefined) {
      // Reported by the next `check`; the witness is not required, and goes on from here.
      this.#lost = this.#loss(before);
      this.#mark = mark;
    } else this.#remember(mark);
  }

  async close(): Promise<void> {
    if (this.#process.pid === undefined) return;
    await happens(
      closeMs,
      this.#process.ask({ op: 'close' }).catch(() => {}),
    );
    this.#process.stop();
  }
}
