// Owns: the downloads of one channel whose CLOSE was answered and is not recorded yet. There are few of them at a time.
// Must never: let the end of the session pass one that is under way: the record would call it cut.
import { toCofferdamError } from '../../domain/errors.ts';
import type { EdgeNode } from '../seam/sftp-seam.ts';

/** The largest number that is under way. The next CLOSE waits for the oldest. */
const closingsMax = 16;
/** The pause before a CLOSE that could not be recorded is tried again, in milliseconds. */
const pauseMs = 500;
/** What passes: the record is behind, or the node has too much under way. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'over-limit']);

export class Closings {
  readonly #node: Pick<EdgeNode, 'log' | 'limits'>;
  readonly #underWay = new Set<Promise<void>>();

  constructor(node: Pick<EdgeNode, 'log' | 'limits'>) {
    this.#node = node;
  }

  /** Lets a CLOSE be recorded while the client goes on. Resolves when there is a place for it. Never rejects. */
  async add(close: () => Promise<void>): Promise<void> {
    const [oldest] = this.#underWay.size >= closingsMax ? this.#underWay : [];
    const done = this.#recorded(close).finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
    await oldest;
  }

  /** Tries as long as the record may be late. */
  async #recorded(close: () => Promise<void>): Promise<void> {
    for (const until = performance.now() + this.#node.limits.witnessStopMs; ; )
      try {
        return await close();
      } catch (error) {
        const err = toCofferdamError(error);
        if (!passing.has(err.code) || performance.now() > until)
          return this.#node.log.info({ err }, 'the CLOSE of a download was not recorded; its session ends it');
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
  }

  /** Resolves when all of them are recorded or have failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
