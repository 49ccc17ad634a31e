// Owns: rounds of the warden that leads: it proves where the record stands, seals on top of that, and signs what is committed.
// Must never: sign before the commit, or go on from anything that is in doubt: then it is loaded and proved again.

import { CofferdamError } from '../../domain/errors.ts';
import type { Checkpoint } from '../../domain/ledger/checkpoint.ts';
import type { TreeMap } from '../../domain/ledger/map.ts';
import { rootOf } from '../../domain/ledger/merkle.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { base64, sha256 } from './hashing.ts';
import { rootAt } from './heads.ts';
import { Rounds } from './rounds.ts';
import type { Round, Signing } from './seal.ts';
import { boundStatements, type Look, lockState, saveNote } from './seal-queries.ts';
import { openNote, Signatures } from './signatures.ts';
import { loadStanding, newEpoch, requireGrown, type Signed, type Standing } from './standing.ts';

/** An epoch begins before a day is over, by the database's clock. */
const epochEveryMs = 23 * 3_600_000;
/** One that was asked for names all trees: whoever asks all the time gets one now and then. */
const epochAskedEveryMs = 5000;
/** What one statement may take while the record is proved. */
const proveMs = 30_000;

/** The record as it was compared: nothing may be sealed on another one. `root`: of the heads log, base64. */
export type Compared = { readonly era: number; readonly heads: number; readonly root: string };
export type Beat = {
  readonly compared?: Compared | undefined;
  /** What the witnesses have. */
  readonly vouched?: readonly Signed[];
  /** The newest checkpoint is signed again when nothing else is to be signed. */
  readonly isSignDue: boolean;
  readonly isEpochAsked?: boolean;
  /** The database's clock, milliseconds. */
  readonly now: number;
};
export type Sealed = {
  readonly sealed: number;
  readonly isFull: boolean;
  readonly checkpoint: Checkpoint;
  readonly note: string;
};

export class Sealer {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #rounds: Rounds;
  readonly #signatures = new Signatures();
  #standing: Standing | undefined;
  /** What was proved before it was in doubt. */
  #before: Standing | undefined;
  /** The note that this process has written into the database. */
  #stored: string | undefined;

  constructor(database: Database, log: Logger, rounds = new Rounds(database, log)) {
    this.#database = database;
    this.#log = log;
    this.#rounds = rounds;
  }

  /**
   * One round: seals what waits, begins an epoch when one is due, and signs what is committed; a head that an earlier run has left without a checkpoint is
   * signed, and nothing is sealed on top of it before. undefined: there was nothing to do, or another warden has sealed meanwhile.
   * Throws RecordDiverged when the record is not what was signed.
   */
  async round(signing: Signing, beat: Beat): Promise<Sealed | undefined> {
    for (const one of beat.vouched ?? []) this.#signatures.learn(one);
    try {
      const standing = this.#standing ?? (await this.#prove(signing, beat));
      this.#standing = standing;
      const round = await this.#rounds.seal(standing, {
        epoch: await this.#epochOf(standing, beat),
        isSigned: (note) => this.#isSigned(signing, standing, note),
      });
      if (round === undefined) {
        this.#doubt();
        return undefined;
      }
      this.#standing = round.next;
      return await this.#sign(signing, round, beat.isSignDue);
    } catch (error) {
      // What became of a commit is not known, or the record is not what it was.
      this.#doubt();
      throw error;
    }
  }

  /** Nothing waits that this process would have to do: what is in the database is what it left there, signed. */
  isAtRest({ era, heads, number, checkpoint, hasFresh, isEpochAsked, now }: Look): boolean {
    const standing = this.#standing;
    if (standing === undefined || hasFresh || isEpochAsked || checkpoint === null || checkpoint !== this.#stored) return false;
    const isSame = standing.era === era && standing.log.size === heads && standing.number === number;
    return isSame && standing.newest !== undefined && now - standing.newest.epochAt / 1000 < epochEveryMs;
  }

  #doubt(): void {
    this.#before = this.#standing ?? this.#before;
    this.#standing = undefined;
  }

  #prove(signing: Signing, { compared, vouched }: Beat): Promise<Standing> {
    return this.#database.withSystem(async (tx) => {
      await boundStatements(tx, proveMs);
      const state = await lockState(tx);
      if (compared !== undefined && (state.era !== compared.era || (await rootAt(tx, compared.heads)) !== compared.root))
        throw new CofferdamError('unavailable', 'the record is not the one that was compared with its witness');
      const known = [this.#signatures.newest, ...(vouched ?? []), openNote(signing, state.checkpoint)];
      const standing = await loadStanding(
        tx,
        state,
        known.filter((one) => one !== undefined),
      );
      if (this.#before !== undefined) requireGrown(this.#before, standing);
      return standing;
    });
  }

  /** The map with which an epoch begins, made before the round: it may take a moment. */
  async #epochOf({ newest, trees }: Standing, { isEpochAsked, now }: Beat): Promise<TreeMap | undefined> {
    if (newest === undefined) return undefined;
    const ageMs = now - newest.epochAt / 1000;
    const isDue = ageMs >= epochEveryMs || (isEpochAsked === true && ageMs >= epochAskedEveryMs);
    return isDue ? newEpoch(trees) : undefined;
  }

  #isSigned(signing: Signing, { era, log }: Standing, note: string | null): boolean {
    if (log.size === 0 && note === null) return true;
    if (note !== null && note === this.#stored) return this.#signatures.newest?.era === era && this.#signatures.newest.size === log.size;
    const signed = openNote(signing, note);
    if (signed === undefined) {
      if (note !== null) this.#log.warn({ note }, 'the newest checkpoint in the database is none of this gateway: it is signed again');
      return false;
    }
    if (signed.era === era && signed.size === log.size) this.#signatures.learn(signed);
    return signed.era === era && signed.size === log.size && signed.root === base64(rootOf(sha256, log));
  }

  async #sign(
    signing: Signing,
    { next, at, sealed, isEpoch, isFull, checkpoint: before }: Round,
    isDue: boolean,
  ): Promise<Sealed | undefined> {
    if (sealed === 0 && !isEpoch && !isDue && this.#isSigned(signing, next, before)) return undefined;
    const { checkpoint, note } = this.#signatures.sign(signing, next, at);
    const { era, number, log } = next;
    if (await saveNote(this.#database, { era, number, size: log.size, before, note })) this.#stored = note;
    else this.#doubt();
    return { sealed, isFull, checkpoint, note };
  }
}
