// Owns: asking the database, once in each beat, for the entries that this warden wrote: each must be waiting or sealed,
// with the content that was written (decision 0036); and telling which of them a release gave up (decision 0047).
// Must never: report entries as missing that two operators gave up by a release; give one up with a release that gave
// up nothing, or untold; or treat a missing answer of the database as a finding.
import type { Config } from '../../config/config.ts';
import { type Birth, Births, type Miss, type Refused } from '../../domain/ledger/births.ts';
import type { Database } from '../../postgres/database.ts';
import { lookForWaiting } from '../../postgres/entry-queries.ts';
import { tellGivenUp } from './given-up.ts';
import { digestOf } from './hashing.ts';
import { ProvedEntries } from './proved-entries.ts';
import type { Signing } from './seal.ts';
import type { Freeze, Look } from './seal-queries.ts';
import type { Signed } from './standing.ts';

/**
 * The largest number of entries that one beat asks for. A busy beat writes some hundred; the rest is asked for in the
 * following beats.
 */
const askedMax = 4000;
/**
 * How long an entry of uncertain outcome is asked for. This is longer than any statement, and any wait for a standby,
 * of a connection that was lost during its commit.
 */
const unsureMs = 120_000;
/**
 * An entry that was left longer ago may be in an archive, if it was sealed: then it cannot be found in the database.
 */
const searchedMs = 27 * 86_400_000;

/**
 * Returns the keeper of the entries that this process wrote and has not yet seen sealed. Beyond `unseenEntriesMax` of
 * them nothing begins that would write more.
 */
export const createBirths = ({
  unseenEntriesMax,
  clockJumpMs,
}: Pick<Config['limits'], 'unseenEntriesMax' | 'clockJumpMs'>): Births =>
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

function freezeOfSetAside([first, ...others]: readonly [Birth, ...(readonly Birth[])]): Omit<Freeze, 'id'> {
  const more = others.length === 0 ? '' : `, and so were ${others.length} more`;
  return {
    why: 'diverged',
    text: `the entry ${first.id} (${first.kind}) that this warden wrote could not be sealed any more and was set aside${more}: the record was touched`,
    facts: { entry: first.id, kind: first.kind, is: 'set-aside', missed: others.length + 1 },
  };
}

function freezeOfRefused([{ kind, fault }, ...others]: readonly [Refused, ...(readonly Refused[])]): Omit<
  Freeze,
  'id'
> {
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
  readonly #gaveUp: (era: number) => Promise<boolean>;
  /** What a release gave up and nobody was told of yet. */
  #untold: readonly Birth[] = [];
  /** Whether a release gave up some of them; otherwise they are out of reach. */
  #isByRelease = false;
  #era: number | undefined;
  #identity: string | undefined;

  /** `gaveUp` says whether two operators gave anything up when they ended this era or a later one. */
  constructor(database: Database, births: Births, gaveUp: (era: number) => Promise<boolean>) {
    this.#database = database;
    this.#births = births;
    this.#gaveUp = gaveUp;
    this.proved = new ProvedEntries(database);
  }

  /**
   * Looks for the entries that this warden wrote. Called after the record was compared, so that a release by two
   * operators has been verified. Returns undefined when no entry is missed, and otherwise the freeze to write. Throws
   * RecordDiverged when what others sealed is not what they signed. `clockAt`: when, by the monotonic clock, the
   * database's clock was last found to go as it should. An entry of another time that was refused after that is judged
   * by the next beat, because the clock itself may have been set meanwhile.
   */
  async look(
    seen: Look,
    signing: Signing,
    vouched: readonly Signed[],
    clockAt = performance.now(),
  ): Promise<Omit<Freeze, 'id'> | undefined> {
    const [births, proved] = [this.#births, this.proved];
    const { era, identity } = seen;
    const isSame = this.#era === undefined || this.#era === era;
    const isKept = isSame || !(await this.#gaveUp(this.#era ?? era));
    if (isKept && proved.hasBegun) {
      if (!isSame) proved.continueIn(era);
      await proved.follow(seen, signing);
    } else await this.#begin(seen, signing, vouched, isKept);
    // Their transactions were undone, and their times were judged by the clock that two operators examined.
    if (!isSame) births.forgetRefused();
    if (isKept && this.#identity !== undefined && this.#identity !== identity) births.moved();
    this.#identity = identity;
    await this.#tell(seen);
    this.#era = era;
    const [refused, ...others] = births.refusedUntil(clockAt);
    if (refused !== undefined) return freezeOfRefused([refused, ...others]);
    return this.setAside() ?? this.#missed(seen);
  }

  /** Of which era and server the entries are that this process waits for; undefined before its first look. */
  get place(): { readonly era: number; readonly identity: string } | undefined {
    const [era, identity] = [this.#era, this.#identity];
    return era === undefined || identity === undefined ? undefined : { era, identity };
  }

  /** Says of which era and server the entries are for which this process waits at its first look. */
  beginAt({ era, identity }: { readonly era: number; readonly identity: string }): void {
    this.#era = era;
    this.#identity = identity;
  }

  /**
   * Proves the record as it is now, at the first look and after a release that gave something up. What such a release
   * gave up is told. Told as well, and not judged, is what cannot be found any more in the part of the record that can
   * be searched.
   */
  async #begin({ now }: Look, signing: Signing, vouched: readonly Signed[], isKept: boolean): Promise<void> {
    const [births, proved] = [this.#births, this.proved];
    const asked = births.ask(Number.POSITIVE_INFINITY);
    const ids = [...asked.ids, ...this.#untold.map((one) => one.id)];
    const above = this.#untold.reduce((least, one) => Math.min(least, one.above), asked.above);
    const upTo = await proved.begin(signing, vouched, { ids, above });
    const found = new Set(proved.find(ids, above).map((one) => one.id));
    const isOutOfReach = ({ id, writtenAt }: Birth): boolean =>
      !found.has(id) && (upTo < proved.number || writtenAt / 1000 < now - searchedMs);
    this.#isByRelease ||= !isKept;
    this.#untold = [...this.#untold, ...(isKept ? births.take(isOutOfReach) : births.forget(proved.number))];
  }

  /**
   * Returns the freeze to write because the sealer of this process set entries aside that could be sealed as this
   * warden wrote them. The rows may look as they were written again: what was set aside is remembered here.
   */
  setAside(): Omit<Freeze, 'id'> | undefined {
    const [first, ...others] = this.#births.wronglySetAside;
    return first === undefined ? undefined : freezeOfSetAside([first, ...others]);
  }

  /**
   * Tells which of the entries that a release gave up are in fact gone, or say something else: those that the database
   * has as they were written lost nothing, and are watched on.
   */
  async #tell(seen: Look): Promise<void> {
    const [births, proved, untold] = [this.#births, this.proved, this.#untold];
    if (untold.length === 0) return;
    const ids = untold.map((one) => one.id);
    const above = Math.min(...untold.map((one) => one.above));
    const kept = await this.#database.withSystem(async (tx) => {
      const waiting = await lookForWaiting(tx, ids);
      const sightings = Map.groupBy([...waiting.sightings, ...proved.find(ids, above)], (one) => one.id);
      const are = Map.groupBy(untold, (one) => births.where(one, sightings.get(one.id) ?? []));
      const lost = (is: 'gone' | 'changed'): readonly Birth[] => (are.get(is) ?? []).filter((one) => !one.isUnsure);
      await tellGivenUp(tx, seen, { gone: lost('gone'), changed: lost('changed') }, this.#isByRelease);
      return are.get('waiting') ?? [];
    });
    births.recall(kept.map((one) => ({ ...one, above: proved.number, isUnsure: false, isOfOtherServer: false })));
    this.#untold = [];
    this.#isByRelease = false;
  }

  async #missed({ era, identity }: Look): Promise<Omit<Freeze, 'id'> | undefined> {
    const [births, proved] = [this.#births, this.proved];
    const asked = births.ask(askedMax);
    if (asked.ids.length === 0) {
      births.learn([], { number: proved.number, upTo: proved.number, sightings: [] });
    } else {
      const waiting = await this.#database.withSystem((tx) => lookForWaiting(tx, asked.ids));
      // The record was released or frozen, or the connection now leads to another server, since the beat began. The
      // next beat decides with the new state.
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
