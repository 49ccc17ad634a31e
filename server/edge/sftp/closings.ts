// Owns: the downloads of one channel whose CLOSE was answered and is not recorded yet. There are few of them at a time.
// Must never: let the end of the session pass one that is under way: the record would call it cut.
import { toCofferdamError } from '../../domain/errors.ts';
import type { EdgeNode } from '../seam/sftp-seam.ts';

/** The largest number that is under way. The next CLOSE waits for the oldest. */
const closingsMax = 16;

export class Closings {
  readonly #log: EdgeNode['log'];
  readonly #underWay = new Set<Promise<void>>();

  constructor(log: EdgeNode['log']) {
    this.#log = log;
  }

  /** Lets a CLOSE be recorded while the client goes on. Resolves when there is a place for it. Never rejects. */
  async add(closing: Promise<void>): Promise<void> {
    const [oldest] = this.#underWay.size >= closingsMax ? this.#underWay : [];
    const done = closing
      .catch((error: unknown) =>
        this.#log.info(
          { err: toCofferdamError(error) },
          'the CLOSE of a download was not recorded; its session ends it',
        ),
      )
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
    await oldest;
  }

  /** Resolves when all of them are recorded or have failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
