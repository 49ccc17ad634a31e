// Owns: the newest checkpoint of the heads log that this process signed or saw: for one era and size there is only one
// root, for ever.
// Must never: sign a second root for a size, or a smaller size than before: two such notes would prove that the key
// signed two records.
import { type Checkpoint, originOf, parseNote } from '../../domain/ledger/checkpoint.ts';
import { rootOf } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { installationId } from '../seals/seal-queries.ts';
import { base64, sha256 } from './hashing.ts';
import type { Signing } from './seal.ts';
import { publishLedgerKey } from './seal-queries.ts';
import { RecordDiverged, type Signed, type Standing } from './standing.ts';

const told = ({ era, size }: Pick<Signed, 'era' | 'size'>): string => `${size} heads in era ${era}`;

/** Returns the signer of this gateway's checkpoints, and publishes its verifier key in the database. */
export async function signingOf(tx: Transaction, keys: Pick<KeyRing, 'checkpointSigner'>): Promise<Signing> {
  const origin = originOf((await installationId(tx)).id);
  const signer = keys.checkpointSigner(origin);
  await publishLedgerKey(tx, signer.verifierKey);
  return { origin, signer };
}

/** The newest known checkpoint, kept so that this process never contradicts it. */
export class Signatures {
  #newest: Signed | undefined;

  get newest(): Signed | undefined {
    return this.#newest;
  }

  /**
   * Remembers a signed checkpoint. Throws RecordDiverged when its root differs from the newest known one of the same
   * era and size.
   */
  learn(signed: Signed): void {
    const newest = this.#newest;
    if (newest !== undefined && newest.era === signed.era && newest.size === signed.size && newest.root !== signed.root)
      throw new RecordDiverged(`${signed.by} and ${newest.by} have two checkpoints of ${told(signed)} that disagree`);
    if (newest === undefined || signed.era > newest.era || (signed.era === newest.era && signed.size > newest.size))
      this.#newest = signed;
  }

  /**
   * Signs the checkpoint of a committed state. `at` is in microseconds since 1970. Throws RecordDiverged instead of
   * contradicting a checkpoint that is known to be signed.
   */
  sign(
    { signer, origin }: Signing,
    { era, log }: Standing,
    at: number,
  ): { readonly checkpoint: Checkpoint; readonly note: string } {
    const [size, root] = [log.size, base64(rootOf(sha256, log))];
    const newest = this.#newest;
    if (newest !== undefined && (newest.era > era || (newest.era === era && newest.size > size)))
      throw new RecordDiverged(
        `${newest.by} has a checkpoint of ${told(newest)}: one of ${told({ era, size })} would go back behind it`,
      );
    this.learn({ by: 'this warden', era, size, root });
    const checkpoint: Checkpoint = { origin, size, root, era, time: new Date(at / 1000).toISOString() };
    return { checkpoint, note: signer.sign(checkpoint) };
  }
}

/**
 * Returns what a note in the database says, or undefined when this gateway did not sign it: the owner of the database
 * can write anything into that column.
 */
export function openNote({ signer }: Pick<Signing, 'signer'>, note: string | null): Signed | undefined {
  if (note === null) return undefined;
  try {
    parseNote(note);
    const { era, size, root } = signer.open(note);
    return { by: 'the database', era, size, root };
  } catch {
    return undefined;
  }
}
