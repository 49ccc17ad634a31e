// Owns: the sealing of the leading warden: it proves the state of the record, seals on top of that, and signs what was
// committed (decision 0035).
// Must never: sign before the commit, or continue from a state that is in doubt: that is loaded and proved again.

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
import { boundStatements, type FreshEntry, type Look, lockState, saveNote } from './seal-queries.ts';
import { openNote, Signatures } from './signatures.ts';
import { loadStanding, newEpoch, requireGrown, type Signed, type Standing } from './standing.ts';

/** The age of an epoch, by the database's clock, at which the next one begins: an hour less than a day. */
const epochEveryMs = 23 * 3_600_000;
/**
 * The shortest time between two epochs that were asked for. The head of each names all trees, so an operator who asks
 * all the time must not get one with every round.
 */
const epochAskedEveryMs = 5000;
/** The timeout of one statement while the record is proved. */
const proveMs = 30_000;

/**
 * The record as it was compared with the witnesses; nothing may be sealed on top of another one. `root` is that of the
 * heads log, in base64.
 */
type Compared = { readonly era: number; readonly heads: number; readonly root: string };
export type Beat = {
  readonly compared?: Compared | undefined;
  /** The newest checkpoints of the witnesses. */
  readonly vouched?: readonly Signed[];
  /** Whether the newest checkpoint is signed again, with the present time, when there is nothing else to sign. */
  readonly isSignDue: boolean;
  readonly isEpochAsked?: boolean;
  /** The database's clock, in milliseconds. */
  readonly now: number;
};
export type Sealed = {
  readonly sealed: number;
  readonly isFull: boolean;
  readonly checkpoint: Checkpoint;
  readonly note: string;
};

/**
 * A round that was committed and signed: the proved states before and after it, and the entries between, as they were
 * hashed.
 */
export type SignedRound = {
  readonly before: Standing;
  readonly next: Standing;
  readonly entries: readonly FreshEntry[];
  readonly note: string;
};

/**
 * The sealer of the leading warden. It keeps the proved state in memory and gives it up whenever that comes into doubt.
 */
export class Sealer {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #rounds: Rounds;
  readonly #signatures = new Signatures();
  readonly #onSigned: (signed: SignedRound) => Promise<void>;
  #standing: Standing | undefined;
  /** The last proved state before it came into doubt. */
  #before: Standing | undefined;
  /** The last note that this process wrote into the database. */
  #stored: string | undefined;

  /** `onSigned` hears of each round that was committed and signed, before its note leaves this process. */
  constructor(
    database: Database,
    log: Logger,
    rounds = new Rounds(database, log),
    onSigned: (signed: SignedRound) => Promise<void> = async () => {},
  ) {
    this.#database = database;
    this.#log = log;
    this.#rounds = rounds;
    this.#onSigned = onSigned;
  }

  /**
   * Does one round: seals what waits, begins an epoch when one is due, and signs what was committed. A head that an
   * earlier run left without a checkpoint is signed first, and nothing is sealed on top of it before. Returns undefined
   * when there was nothing to do or another warden has sealed meanwhile. Throws RecordDiverged when the record is not
   * what was signed.
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
      return await this.#sign(signing, standing, round, beat.isSignDue);
    } catch (error) {
      // Either the outcome of a commit is unknown, or the record is not what it was.
      this.#doubt();
      throw error;
    }
  }

  /**
   * Returns whether this process has nothing to do: the database holds exactly what this process left there, and that
   * is signed.
   */
  isAtRest({ era, heads, number, checkpoint, hasFresh, isEpochAsked, now }: Look): boolean {
    const standing = this.#standing;
    if (standing === undefined || hasFresh || isEpochAsked || checkpoint === null || checkpoint !== this.#stored)
      return false;
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
      if (
        compared !== undefined &&
        (state.era !== compared.era || (await rootAt(tx, compared.heads)) !== compared.root)
      )
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

  /** Returns the map with which a due epoch begins. It is computed before the round, because it may take a moment. */
  async #epochOf({ newest, trees }: Standing, { isEpochAsked, now }: Beat): Promise<TreeMap | undefined> {
    if (newest === undefined) return undefined;
    // A head may be ahead of a clock that was set back: an epoch that is asked for begins all the same.
    const ageMs = now - newest.epochAt / 1000;
    const isDue = ageMs >= epochEveryMs || (isEpochAsked === true && Math.abs(ageMs) >= epochAskedEveryMs);
    return isDue ? newEpoch(trees) : undefined;
  }

  #isSigned(signing: Signing, { era, log }: Standing, note: string | null): boolean {
    if (log.size === 0 && note === null) return true;
    if (note !== null && note === this.#stored)
      return this.#signatures.newest?.era === era && this.#signatures.newest.size === log.size;
    const signed = openNote(signing, note);
    if (signed === undefined) {
      if (note !== null)
        this.#log.warn({ note }, 'the newest checkpoint in the database is none of this gateway: it is signed again');
      return false;
    }
    if (signed.era === era && signed.size === log.size) this.#signatures.learn(signed);
    return signed.era === era && signed.size === log.size && signed.root === base64(rootOf(sha256, log));
  }

  async #sign(
    signing: Signing,
    standing: Standing,
    { next, at, sealed, entries, isEpoch, isFull, checkpoint: before }: Round,
    isDue: boolean,
  ): Promise<Sealed | undefined> {
    if (sealed === 0 && !isEpoch && !isDue && this.#isSigned(signing, next, before)) return undefined;
    const { checkpoint, note } = this.#signatures.sign(signing, next, at);
    await this.#onSigned({ before: standing, next, entries, note });
    const { era, number, log } = next;
    if (await saveNote(this.#database, { era, number, size: log.size, before, note })) this.#stored = note;
    else this.#doubt();
    return { sealed, isFull, checkpoint, note };
  }
}
