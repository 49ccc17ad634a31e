// Owns: the warden's looks at the catalogue of its database: one at the start, which refuses, and one with each pass
// over the seals, which raises an alert.
// Must never: start on a database in which anything that decides is not that of the migrations, or keep an alert back
// until the database took its row.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Reading } from '../../observability/metrics.ts';
import { compareCatalogues, differencesInWords, expectedCatalogue, readCatalogue } from '../../postgres/catalogue.ts';
import type { Database } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';

/** How many of the differences an alert names. `doctor` names all of them. */
const namedMax = 20;
/** Words that do not change are logged again after this time. */
const againMs = 10 * 60_000;

export class CatalogueWatch {
  readonly #database: Database;
  readonly #log: Logger;
  /** Of the version that runs: the file may be replaced by that of another one while it does. */
  readonly #expected = expectedCatalogue();
  #differences: readonly string[] = [];
  #said = { text: '', at: Number.NEGATIVE_INFINITY };

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  get metrics(): readonly Reading[] {
    return [
      {
        name: 'warden_catalogue_differences',
        help: 'Objects of the database that are not those of the migrations, as of the last look.',
        kind: 'gauge',
        value: this.#differences.length,
      },
    ];
  }

  /** Throws `configuration`, and names the differences, when there are any. */
  async require(): Promise<void> {
    const found = await this.#look();
    if (found.length > 0)
      throw new CofferdamError(
        'configuration',
        `the database is not what the migrations made of it: ${differencesInWords(found, namedMax)}. Find out who did that, and restore it; after an upgrade, run \`cofferdam migrate\` first`,
      );
  }

  /** Looks once, and raises the alert when there are differences. The log hears of it first. */
  async pass(): Promise<void> {
    const found = await this.#look();
    if (found.length === 0) {
      this.#said = { text: '', at: Number.NEGATIVE_INFINITY };
      return;
    }
    const text = `the database is not what the migrations made of it: ${differencesInWords(found, namedMax)}`;
    const facts = { count: found.length, differences: found.slice(0, namedMax) };
    if (text !== this.#said.text || performance.now() - this.#said.at > againMs) {
      this.#said = { text, at: performance.now() };
      this.#log.error(facts, text);
    }
    await this.#database.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'database.changed',
        severity: 'critical',
        subject: 'catalogue',
        text,
        facts,
        nextCommand: 'cofferctl doctor',
      }),
    );
  }

  async #look(): Promise<readonly string[]> {
    const actual = await this.#database.withSystem((tx) => readCatalogue(tx.query));
    this.#differences = compareCatalogues(this.#expected, actual);
    return this.#differences;
  }
}
