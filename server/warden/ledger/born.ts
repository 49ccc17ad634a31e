// Owns: asking the database, once in each beat, for the entries that this warden wrote: each must be waiting or sealed,
// with the content that was written (decision 0036).
// Must never: report entries as missing that two operators gave up by a release; or treat a missing answer of the
// database as a finding.
import { hash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { Births, type Miss, type Refused } from '../../domain/ledger/births.ts';
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
export const createBirths = ({ unseenEntriesMax, clockJumpMs }: Pick<Config['limits'], 'unseenEntriesMax' | 'clockJumpMs'>): Births =>
  new Births({
    digestOf: (text) => hash('sha256', text, 'base64'),
    now: () => performance.now(),
    entriesMax: unseenEntriesMax,
    unsureMs,
    clockJumpMs,
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

function freezeOfRefused([{ kind, fault }, ...others]: readonly [Refused, ...(readonly Refused[])]): Omit<Freeze, 'id'> {
  const more = others.length === 0 ? '' : `, and so were ${others.length} more`;
  return {
    why: 'diverged',
    text: `an entry (${kind}) that this warden wrote ${fault}${more}; its effect was undone: the record was touched`,
    facts: { kind, is: 'refused', missed: others.length + 1 },
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
   * operators has been verified. Returns undefined when no entry is missed, and otherwise the freeze to write. `clockAt`: when,
   * by the monotonic clock, the database's clock was last found to go as it should. An entry of another time that was refused
   * after that is judged by the next beat, because the clock itself may have been set meanwhile.
   */
  async look({ era, number, identity }: Look, clockAt = performance.now()): Promise<Omit<Freeze, 'id'> | undefined> {
    const births = this.#births;
    if (this.#era !== era) births.forget(number);
    else if (this.#identity !== identity) births.moved();
    this.#era = era;
    this.#identity = identity;
    const [refused, ...others] = births.refusedUntil(clockAt);
    if (refused !== undefined) return freezeOfRefused([refused, ...others]);
    const asked = births.ask(askedMax);
    if (asked.ids.length === 0) {
      births.learn([], { number, upTo: number, sightings: [] });
      return undefined;
    }
    const seen: EntriesSeen = await this.#database.withSystem((tx) => lookForEntries(tx, asked, numbersMax));
    // The record was released or frozen, or the connection now leads to another server, since the beat began. The next
    // beat decides with the new state.
    if (seen.era !== era || seen.isFrozen || seen.identity !== identity) return undefined;
    const [first, ...more] = births.learn(asked.ids, seen);
    return first === undefined ? undefined : freezeOf([first, ...more]);
  }
}
