// Owns: asking, once a beat, what became of the entries that this warden wrote: each waits, or is sealed, and says what it said when it was written (decision 0036).
// Must never: call a record touched that two operators let go on without these entries; take silence of the database for an answer.
import { hash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { Births, type Miss } from '../../domain/ledger/births.ts';
import type { Database } from '../../postgres/database.ts';
import { type EntriesSeen, lookForEntries } from '../../postgres/entry-queries.ts';
import type { Freeze, Look } from './seal-queries.ts';

/** A busy beat writes some hundred entries; more are asked for in the beats that follow. */
const askedMax = 4000;
const numbersMax = 40_000;
/** Longer than any statement, and any wait for a standby, of a connection that was lost. */
const unsureMs = 120_000;

export const createBirths = ({ unseenEntriesMax }: Pick<Config['limits'], 'unseenEntriesMax'>): Births =>
  new Births({
    digestOf: (content) => hash('sha256', content, 'base64'),
    now: () => performance.now(),
    entriesMax: unseenEntriesMax,
    unsureMs,
  });

const whatOf = ({ id, kind, is }: Miss): string =>
  `the entry ${id} (${kind}) that this warden wrote ${is === 'gone' ? 'is neither waiting nor sealed' : 'does not say any more what was written'}`;

function freezeOf(misses: readonly [Miss, ...(readonly Miss[])]): Omit<Freeze, 'id'> {
  const [first] = misses;
  const others = misses.length === 1 ? '' : `, and so are ${misses.length - 1} more`;
  const isLost = misses.every((one) => one.isOfOtherServer);
  return {
    why: isLost ? 'behind' : 'diverged',
    text: `${whatOf(first)}${others}: ${isLost ? 'the database is another server or timeline, and lost what was committed' : 'the record was touched'}`,
    facts: { entry: first.id, kind: first.kind, is: first.is, missed: misses.length },
  };
}

export class Born {
  readonly #database: Database;
  readonly #births: Births;
  #era: number | undefined;
  #identity: string | undefined;

  constructor(database: Database, births: Births) {
    this.#database = database;
    this.#births = births;
  }

  /** After the record was compared: a release by two operators was verified there. Undefined: nothing is missed. */
  async look({ era, number, identity }: Look): Promise<Omit<Freeze, 'id'> | undefined> {
    const births = this.#births;
    if (this.#era !== era) births.forget(number);
    else if (this.#identity !== identity) births.moved();
    this.#era = era;
    this.#identity = identity;
    const asked = births.ask(askedMax);
    if (asked.ids.length === 0) {
      births.learn([], { number, upTo: number, sightings: [] });
      return undefined;
    }
    const seen: EntriesSeen = await this.#database.withSystem((tx) => lookForEntries(tx, asked, numbersMax));
    // Released, frozen, or another server, since the beat began: the next one knows what to make of it.
    if (seen.era !== era || seen.isFrozen || seen.identity !== identity) return undefined;
    const [first, ...others] = births.learn(asked.ids, seen);
    return first === undefined ? undefined : freezeOf([first, ...others]);
  }
}
