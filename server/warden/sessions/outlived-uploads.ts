// Owns: the regular pass that lets go of uploads which an ended session still holds after its grace period.
// Must never: read all open uploads at each turn. A turn looks at the sessions that ended since the turn before. The
// first turn after a start, and then one turn each minute, looks at every upload that somebody holds, whatever was
// missed.
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { passOverRows } from '../passes/row-passes.ts';
import { findOutlived, releaseOutlived } from './ending-queries.ts';

const wholeEveryMs = 60_000;

export class OutlivedUploads {
  /**
   * The instant up to which ends of sessions were looked at, by the clock of the database; null before the first look.
   */
  #until: string | null = null;
  #wholeAt = Number.NEGATIVE_INFINITY;

  async pass(warden: { readonly database: Database; readonly log: Logger }): Promise<void> {
    const began = performance.now();
    const isWhole = began - this.#wholeAt >= wholeEveryMs;
    const since = isWhole ? null : this.#until;
    let until: string | undefined;
    await passOverRows(warden, 'upload-release', {
      find: async (tx, limit) => {
        const found = await findOutlived(tx, since, limit);
        // What a full turn left is found by the next one.
        if (found.versions.length < limit) until = found.until;
        return found.versions;
      },
      work: releaseOutlived,
    });
    if (until === undefined) return;
    this.#until = until;
    if (isWhole) this.#wholeAt = began;
  }
}
