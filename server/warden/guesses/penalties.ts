// Owns: which counters a guess counts against, and how long its sender waits.
// Must never: let the failures of a stranger count against an account at a source from which it has logged in before;
// let what one edge says about a source count where another edge serves; or examine a guess that no counter has taken.
import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { isInNetwork, parseNetwork, sourceOf } from '../../domain/addresses.ts';
import type { AccountId, NodeName } from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { isKnownSource, returnGuess, settleGuess, takeGuess } from './penalty-queries.ts';

/** The longest pause that is waited for, in milliseconds. A longer pause is a refusal. */
const patienceMs = 3000;
const waitsMax = 2;
/** The number of days without a login after which a source is that of a stranger again. */
export const knownDays = 90;

export type Guess = {
  readonly subjects: readonly string[];
  /** Whether the account has logged in from this source before. */
  readonly isKnown: boolean;
  /** Whether the counters took the guess. When false, the guess is not examined. */
  readonly isTaken: boolean;
  /** When the counters took the guess: microseconds since 1970 by the clock of the database. */
  readonly takenAt: number;
  /** Set when the guess was taken and then given back, because nobody had the time to examine it. */
  readonly isGivenBack?: true;
};
type GuessAt = {
  /** The account that is guessed at; null when nobody has this name, or when the account may not log in from there. */
  readonly account: AccountId | null;
  readonly username: string;
  readonly source: string;
  /** The edge that reported the source. */
  readonly node: NodeName;
  readonly what: 'password' | 'code';
};

export type PenaltyConfig = Pick<Config, 'limits' | 'credentials' | 'penaltyExempt'>;

export class Penalties {
  readonly #config: PenaltyConfig;
  readonly #database: Database;

  constructor(config: PenaltyConfig, database: Database) {
    this.#config = config;
    this.#database = database;
  }

  async take(at: GuessAt): Promise<Guess> {
    for (let waits = 0; ; waits += 1) {
      const { waitMs, ...guess } = await this.#database.withSystem((tx) => this.#ask(tx, at));
      if (waitMs === 0) return { ...guess, isTaken: true };
      if (waitMs > patienceMs || waits === waitsMax) return { ...guess, isTaken: false };
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #ask(tx: Transaction, at: GuessAt): Promise<Omit<Guess, 'isTaken'> & { readonly waitMs: number }> {
    const { limits, credentials } = this.#config;
    const source = sourceOf(at.source);
    const isKnown = at.account !== null && (await isKnownSource(tx, at.account, source, knownDays * credentials.dayMs));
    const subjects = this.#subjects(at, source, isKnown);
    const { waitMs, takenAt } = await takeGuess(tx, subjects, {
      free: limits.freeGuesses,
      firstMs: limits.guessPauseFirstMs,
      longestMs: limits.penaltyLongestMs,
      forgetMs: limits.guessForgetMs,
    });
    return { subjects, isKnown, waitMs, takenAt };
  }

  #subjects({ account, username, node, what }: GuessAt, source: string, isKnown: boolean): readonly string[] {
    if (isKnown && account !== null) return [`known/${account}/${node}/${source}/${what}`];
    const who = account ?? createHash('sha256').update(username).digest('hex').slice(0, 32);
    const isExempt = this.#config.penaltyExempt.some((text) => {
      const network = parseNetwork(text);
      return network !== undefined && isInNetwork(source.replace(/\/64$/, ''), network);
    });
    return [`account/${who}/${what}`, ...(isExempt ? [] : [`source/${node}/${source}`])];
  }

  /** Takes back the count of a guess that was not examined: it says nothing about its sender. */
  async giveBack(guess: Guess): Promise<Guess> {
    await this.#database.withSystem((tx) => returnGuess(tx, guess.subjects, guess.takenAt));
    return { ...guess, isTaken: false, isGivenBack: true };
  }

  /**
   * Removes a right guess from the counters and ends their pauses. It is called inside the transaction in which the
   * guess was right.
   */
  async settle(tx: Transaction, guess: Guess): Promise<void> {
    await settleGuess(tx, guess.subjects);
  }
}
