// Owns: how many entries one credential may leave in the record without paying for them: repeats of what it paid for within a day, refusals, and files that it
// opened and has not read yet.
// Must never: let one be written that has no place here, or keep an entry from being written: what happened is on record, the question is who pays.

import type { Allowance, Purse } from '../../domain/allowance.ts';
import { fullPurse, takeOne } from '../../domain/allowance.ts';
import type { CredentialId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';

/** Beyond, whoever asked longest ago begins anew. */
const credentialsMax = 20_000;

/** By credential, as the repeats are: a new session is no new purse. */
export class UnpaidEntries {
  readonly #allowance: Allowance;
  readonly #purses = new Map<CredentialId, Purse>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** Takes the place of one entry. False: there is none; what comes is paid for. */
  take(credential: CredentialId): boolean {
    const now = performance.now();
    const purse = this.#purses.get(credential) ?? fullPurse(this.#allowance, now);
    this.#purses.delete(credential);
    const [oldest] = this.#purses.size >= credentialsMax ? this.#purses.keys() : [];
    if (oldest !== undefined) this.#purses.delete(oldest);
    this.#purses.set(credential, purse);
    return takeOne(purse, this.#allowance, now);
  }

  /** It was paid for after all; or something else was, which makes room for one: an open file is read at least once. */
  giveBack(credential: CredentialId): void {
    const purse = this.#purses.get(credential);
    if (purse !== undefined) purse.left = Math.min(this.#allowance.atOnce, purse.left + 1);
  }
}

/** Beyond, the oldest are forgotten: the place that their entry took comes back with time alone. */
const openingsMax = 50_000;

/** Downloads whose opening nobody has paid for yet. */
export class UnpaidOpenings {
  readonly #downloads = new NewestNames(openingsMax);

  add(download: string): void {
    this.#downloads.add(download);
  }

  /** The download's first extent was paid for. True: so is its opening, whose place is free again. */
  settle(download: string): boolean {
    return this.#downloads.take(download);
  }
}
