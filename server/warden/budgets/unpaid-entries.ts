// Owns: how many entries one credential may leave in the record without paying for them: repeated reads of what it paid
// for within a day, refusals, and files that it opened and has not read yet.
// Must never: let an unpaid entry be written that has no place here, or prevent an entry from being written. Everything
// that happened is recorded; only who pays for it is decided here.

import type { Allowance, Purse } from '../../domain/allowance.ts';
import { fullPurse, takeOne } from '../../domain/allowance.ts';
import type { CredentialId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';

/**
 * The largest number of credentials that are remembered. Beyond it, the one that asked longest ago is forgotten and
 * begins with a full allowance.
 */
const credentialsMax = 20_000;

/**
 * The places for unpaid entries of each credential. They are counted by credential, as repeated reads are, so that a
 * new session does not bring new places.
 */
export class UnpaidEntries {
  readonly #allowance: Allowance;
  readonly #purses = new Map<CredentialId, Purse>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** Takes the place of one unpaid entry. Returns false when there is none; then the entry must be paid for. */
  take(credential: CredentialId): boolean {
    const now = performance.now();
    const purse = this.#purses.get(credential) ?? fullPurse(this.#allowance, now);
    this.#purses.delete(credential);
    const [oldest] = this.#purses.size >= credentialsMax ? this.#purses.keys() : [];
    if (oldest !== undefined) this.#purses.delete(oldest);
    this.#purses.set(credential, purse);
    return takeOne(purse, this.#allowance, now);
  }

  /**
   * Gives back a place, because its entry was paid for after all, or because the first read of an opened file has paid
   * for the opening.
   */
  giveBack(credential: CredentialId): void {
    const purse = this.#purses.get(credential);
    if (purse !== undefined) purse.left = Math.min(this.#allowance.atOnce, purse.left + 1);
  }
}

/**
 * The largest number of openings that are remembered. The oldest is forgotten; the place that its entry took comes back
 * only as time passes.
 */
const openingsMax = 50_000;

/** The downloads whose opening nobody has paid for yet. */
export class UnpaidOpenings {
  readonly #downloads = new NewestNames(openingsMax);

  add(download: string): void {
    this.#downloads.add(download);
  }

  /**
   * Notes that the first extent of a download was paid for. Returns true when that pays for its opening, whose place is
   * then free again.
   */
  settle(download: string): boolean {
    return this.#downloads.take(download);
  }
}
