// Owns: which entries a signed head contains, as this process has hashed them itself: as the sealer, or when
// recomputing what another sealer sealed (decision 0042).
// Must never: take a row of the sealed record for sealed before the head that counts it was recomputed and its
// checkpoint opened.
import type { Sighting } from '../../domain/ledger/births.ts';
import { rootOf } from '../../domain/ledger/merkle.ts';
import { textOfHashed } from '../../domain/ledger/written.ts';
import type { Database } from '../../postgres/database.ts';
import { containedIn } from './contained.ts';
import { base64, digestOf, sha256 } from './hashing.ts';
import type { Signing } from './seal.ts';
import { type FreshEntry, type Look, readState } from './seal-queries.ts';
import type { SignedRound } from './sealer.ts';
import { openNote } from './signatures.ts';
import { followHeads, loadStanding, RecordDiverged, type Signed, type Standing } from './standing.ts';

const loadMs = 30_000;
/** The entries that are looked for in what was sealed before the beginning: with a number above `above`. */
type Wanted = { readonly ids: readonly number[]; readonly above: number };
type Proved = { readonly number: number; readonly id: number; readonly digest: string };

export class ProvedEntries {
  readonly #database: Database;
  /** The proved record up to a genuine checkpoint. */
  #at: Standing | undefined;
  /** Proved entries that `find` may still be asked for, by ascending number. */
  #entries: Proved[] = [];
  /** Heads after `#at` that were recomputed, and their entries, while their checkpoint is not reached yet. */
  #ahead: { readonly standing: Standing; readonly entries: readonly Proved[] } | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The number of the last entry that is known to be in a signed head. */
  get number(): number {
    return this.#at?.number ?? 0;
  }

  get hasBegun(): boolean {
    return this.#at !== undefined;
  }

  /**
   * Proves the state of the record as it is now, and begins there. Of the entries that were sealed before this, `find`
   * knows those of `wanted` that the proved trees contain; the record is searched for them up to the number that is
   * returned. Throws RecordDiverged when the state is not what was signed.
   */
  async begin(signing: Signing, vouched: readonly Signed[], wanted: Wanted = { ids: [], above: 0 }): Promise<number> {
    const signal = AbortSignal.timeout(loadMs);
    const { standing, found } = await this.#database.withSnapshot(
      { timeoutMs: loadMs, workMemory: '256MB', signal },
      async (tx) => {
        const state = await readState(tx);
        const known = [...vouched, openNote(signing, state.checkpoint)].filter((one) => one !== undefined);
        const now = await loadStanding(tx, state, known, false);
        return { standing: now, found: await containedIn(tx, now, wanted) };
      },
    );
    this.#at = standing;
    this.#entries = found.entries.map((entry) => ({ ...proved(entry), number: entry.number }));
    this.#ahead = undefined;
    return found.upTo;
  }

  /** Carries everything that was proved over into era `era`. Call it after a release that gave up nothing. */
  continueIn(era: number): void {
    if (this.#at !== undefined) this.#at = { ...this.#at, era };
    if (this.#ahead !== undefined) this.#ahead = { ...this.#ahead, standing: { ...this.#ahead.standing, era } };
  }

  /**
   * Adds a round that the sealer of this process committed and signed. Does nothing when another sealer sealed before
   * it: `follow` then recomputes this round, too.
   */
  signed({ before, next, entries }: Omit<SignedRound, 'note'>): void {
    if (this.#at?.era === before.era && this.#at.log.size === before.log.size)
      this.#take(
        next,
        entries.map((entry, i) => ({ ...proved(entry), number: before.number + 1 + i })),
      );
  }

  /**
   * Follows the record up to its newest checkpoint, or as far as one call can. Does nothing before `begin`, for another
   * era, for a checkpoint that our key did not sign, or for one that is not beyond what is proved. Throws
   * RecordDiverged when what was sealed is not what a sealer would have made of the entries, or not what was signed.
   */
  async follow({ checkpoint }: Look, signing: Signing): Promise<void> {
    const at = this.#at;
    const signed = openNote(signing, checkpoint);
    if (at === undefined || signed === undefined || signed.era !== at.era || signed.size <= at.log.size) return;
    const from = this.#ahead ?? { standing: at, entries: [] };
    if (from.standing.log.size < signed.size) {
      const { standing, entries } = await this.#database.withSystem((tx) =>
        followHeads(tx, from.standing, signed.size),
      );
      this.#ahead = {
        standing,
        entries: [...from.entries, ...entries.map((entry) => ({ ...proved(entry), number: entry.number }))],
      };
    } else this.#ahead = from;
    const { standing, entries } = this.#ahead;
    if (standing.log.size !== signed.size) return;
    if (base64(rootOf(sha256, standing.log)) !== signed.root)
      throw new RecordDiverged(
        `the heads of the record are not those of the checkpoint of ${signed.size} heads: a head was changed`,
      );
    this.#take(standing, entries);
  }

  /** Returns those of `ids` that a signed head contains, with a number above `above`. */
  find(ids: readonly number[], above: number): readonly Sighting[] {
    const asked = new Set(ids);
    const found: Sighting[] = [];
    for (let i = this.#entries.length - 1; i >= 0; i -= 1) {
      const one = this.#entries[i];
      if (one === undefined || one.number <= above) break;
      if (asked.has(one.id)) found.push({ id: one.id, digest: one.digest, isSealed: true });
    }
    return found;
  }

  /** Forgets the entries up to this number: nobody will ask for them. */
  forgetUpTo(number: number): void {
    const first = this.#entries.findIndex((one) => one.number > number);
    if (first !== 0) this.#entries = first === -1 ? [] : this.#entries.slice(first);
  }

  #take(standing: Standing, entries: readonly Proved[]): void {
    this.#at = standing;
    for (const one of entries) this.#entries.push(one);
    this.#ahead = undefined;
  }
}

const proved = (entry: FreshEntry): { readonly id: number; readonly digest: string } => ({
  id: entry.id,
  digest: digestOf(textOfHashed(entry)),
});
