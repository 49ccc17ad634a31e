// Owns: which pages of listings each credential has paid for within a day, by what they told.
// Must never: take a page for paid that tells anything else than the one that was paid for. What is forgotten is paid
// for once more, so a bound or a restart only costs the client names.
import { createHash } from 'node:crypto';
import type { CredentialId } from '../../domain/ids.ts';

/** The credentials that are remembered, and the pages of each. Beyond them the oldest is forgotten. */
const [credentialsMax, pagesMax] = [4000, 64];
/** So many bytes of a digest are kept: nobody finds another page with the same ones. */
const digestBytes = 16;
const lifeMs = 24 * 60 * 60_000;

/** Names what a page told: the question and the whole answer. */
export const pageName = (asked: readonly unknown[], answer: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify([asked, answer]))
    .digest()
    .subarray(0, digestBytes)
    .toString('base64');

export class ToldPages {
  /** By credential and page, when it was paid for: milliseconds of a clock that only goes forward. */
  readonly #paid = new Map<CredentialId, Map<string, number>>();

  /** Returns whether the credential paid for this page within a day. */
  isPaid(credential: CredentialId, page: string, nowMs: number): boolean {
    const at = this.#paid.get(credential)?.get(page);
    return at !== undefined && nowMs - at < lifeMs;
  }

  /** Notes that the credential has paid for this page. */
  paid(credential: CredentialId, page: string, nowMs: number): void {
    const pages = this.#paid.get(credential) ?? new Map<string, number>();
    this.#paid.delete(credential);
    this.#paid.set(credential, pages);
    const [oldest] = this.#paid.size > credentialsMax ? this.#paid.keys() : [];
    if (oldest !== undefined) this.#paid.delete(oldest);
    pages.delete(page);
    pages.set(page, nowMs);
    const [first] = pages.size > pagesMax ? pages.keys() : [];
    if (first !== undefined) pages.delete(first);
  }
}
