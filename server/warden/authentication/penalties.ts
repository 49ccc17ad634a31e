// Owns: which counters a guess is held against, and how long its sender waits.
// Must never: let a stranger's failures count where an account has logged in before, or what one edge says of a source where another edge serves; or examine a
// guess that no counter took.
import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { isInNetwork, parseNetwork, sourceOf } from '../../domain/addresses.ts';
import type { AccountId, NodeName } from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { isKnownSource, returnGuess, settleGuess, takeGuess } from './penalty-queries.ts';

/** A short pause is waited for; a longer one is a refusal. */
const patienceMs = 3000;
const waitsMax = 2;
/** Days after which a source is a stranger's again. */
export const knownDays = 90;

export type Guess = {
  readonly subjects: readonly string[];
  /** The account logged in from there before. */
  readonly isKnown: boolean;
  /** False: it is not examined. */
  readonly isTaken: boolean;
  /** Of the database's clock, microseconds since 1970: when the counters took it. */
  readonly takenAt: number;
  /** It was taken, and given back: nobody had the time to examine it. */
  readonly isGivenBack?: true;
};
export type GuessAt = {
  /** null: nobody has this name, or it may not log in from there. */
  readonly account: AccountId | null;
  readonly username: string;
  readonly source: string;
  /** The edge whose word the source is. */
  readonly node: NodeName;
  readonly what: 'password' | 'code';
};

export class Penalties {
  readonly #config: Config;
  readonly #database: Database;

  constructor(config: Config, database: Database) {
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

  /** It was not examined: it says nothing about who sent it, and counts for nothing. */
  async giveBack(guess: Guess): Promise<Guess> {
    await this.#database.withSystem((tx) => returnGuess(tx, guess.subjects, guess.takenAt));
    return { ...guess, isTaken: false, isGivenBack: true };
  }

  /** Inside the transaction in which the guess was right. */
  async settle(tx: Transaction, guess: Guess): Promise<void> {
    await settleGuess(tx, guess.subjects);
  }
}
