// Owns: asking the database, once in each beat, for the entries that this warden wrote: each must be waiting or sealed,
// with the content that was written (decision 0036).
// Must never: report entries as missing that two operators gave up by a release; or treat a missing answer of the
// database as a finding.
import type { Config } from '../../config/config.ts';
import { Births, type Miss, type Refused } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lookForWaiting } from '../../postgres/entry-queries.ts';
import { digestOf, ProvedEntries } from './proved-entries.ts';
import type { Signing } from './seal.ts';
import type { Freeze, Look } from './seal-queries.ts';
import type { Signed } from './standing.ts';

/** The largest number of entries that one beat asks for. A busy beat writes some hundred; the rest is asked for in the following beats. */
const askedMax = 4000;
/**
 * How long an entry of uncertain outcome is asked for. This is longer than any statement, and any wait for a standby,
 * of a connection that was lost during its commit.
 */
const unsureMs = 120_000;

/** Returns the memory of the entries that this process wrote and has not yet seen sealed, with at most `unseenEntriesMax` of them. */
export const createBirths = ({ unseenEntriesMax, clockJumpMs }: Pick<Config['limits'], 'unseenEntriesMax' | 'clockJumpMs'>): Births =>
  new Births({
    digestOf,
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
  /** What is sealed, as this process knows it itself. */
  readonly proved: ProvedEntries;
  #era: number | undefined;
  #identity: string | undefined;

  constructor(database: Database, births: Births) {
    this.#database = database;
    this.#births = births;
    this.proved = new ProvedEntries(database);
  }

  /**
   * Looks for the entries that this warden wrote. Called after the record was compared, so that a release by two
   * operators has been verified. Returns undefined when no entry is missed, and otherwise the freeze to write. Throws
   * RecordDiverged when what others sealed is not what they signed. `clockAt`: when, by the monotonic clock, the database's
   * clock was last found to go as it should. An entry of another time that was refused after that is judged by the next
   * beat, because the clock itself may have been set meanwhile.
   */
  async look(
    seen: Look,
    signing: Signing,
    vouched: readonly Signed[],
    clockAt = performance.now(),
  ): Promise<Omit<Freeze, 'id'> | undefined> {
    const [births, proved] = [this.#births, this.proved];
    const { era, identity } = seen;
    if (this.#era !== era) {
      await proved.begin(signing, vouched);
      births.forget(proved.number);
    } else {
      if (this.#identity !== identity) births.moved();
      await proved.follow(seen, signing);
    }
    this.#era = era;
    this.#identity = identity;
    const [refused, ...others] = births.refusedUntil(clockAt);
    if (refused !== undefined) return freezeOfRefused([refused, ...others]);
    return this.#missed(seen);
  }

  /** Says at the end of the process what nobody will watch any more. */
  tellUnseen(log: Logger): void {
    const { size: entries, oldestMs } = this.#births;
    if (entries > 0)
      log.error(
        { entries, oldestMs: Math.round(oldestMs) },
        'this warden ends and has not seen all of its entries sealed; nobody else watches them',
      );
  }

  async #missed({ era, identity }: Look): Promise<Omit<Freeze, 'id'> | undefined> {
    const [births, proved] = [this.#births, this.proved];
    const asked = births.ask(askedMax);
    if (asked.ids.length === 0) {
      births.learn([], { number: proved.number, upTo: proved.number, sightings: [] });
    } else {
      const waiting = await this.#database.withSystem((tx) => lookForWaiting(tx, asked.ids));
      // The record was released or frozen, or the connection now leads to another server, since the beat began. The next
      // beat decides with the new state.
      if (waiting.era !== era || waiting.isFrozen || waiting.identity !== identity) return undefined;
      // What waited at that moment had no number then; what is in a signed head counts, also when it still waited.
      const sightings = [...waiting.sightings, ...proved.find(asked.ids, asked.above)];
      const [first, ...more] = births.learn(asked.ids, {
        number: waiting.number,
        upTo: Math.min(waiting.number, proved.number),
        sightings,
      });
      if (first !== undefined) return freezeOf([first, ...more]);
    }
    proved.forgetUpTo(births.floor);
    return undefined;
  }
}
