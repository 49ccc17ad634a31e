// Owns: asking the database, once in each beat, for the entries that this warden wrote: each must be waiting or sealed,
// with the content that was written (decision 0036).
// Must never: report entries as missing that two operators gave up by a release; or treat a missing answer of the
// database as a finding.
import { hash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { Births, type Miss } from '../../domain/ledger/births.ts';
import type { Database } from '../../postgres/database.ts';
import { type EntriesSeen, lookForEntries } from '../../postgres/entry-queries.ts';
import type { Freeze, Look } from './seal-queries.ts';

/** The largest number of entries that one beat asks for. A busy beat writes some hundred; the rest is asked for in the following beats. */
const askedMax = 4000;
const numbersMax = 40_000;
/**
 * How long an entry of uncertain outcome is asked for. This is longer than any statement, and any wait for a standby,
 * of a connection that was lost during its commit.
 */
const unsureMs = 120_000;

/** Returns the memory of the entries that this process wrote and has not yet seen sealed, with at most `unseenEntriesMax` of them. */
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

/** Compares what this warden wrote with what the database holds, once in each beat. */
export class Born {
  readonly #database: Database;
  readonly #births: Births;
  #era: number | undefined;
  #identity: string | undefined;

  constructor(database: Database, births: Births) {
    this.#database = database;
    this.#births = births;
  }

  /**
   * Looks for the entries that this warden wrote. Called after the record was compared, so that a release by two
   * operators has been verified. Returns undefined when no entry is missed, and otherwise the freeze to write.
   */
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
    // The record was released or frozen, or the connection now leads to another server, since the beat began. The next
    // beat decides with the new state.
    if (seen.era !== era || seen.isFrozen || seen.identity !== identity) return undefined;
    const [first, ...others] = births.learn(asked.ids, seen);
    return first === undefined ? undefined : freezeOf([first, ...others]);
  }
}
