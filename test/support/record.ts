// Owns: a sealed record without a gateway: entries written as a warden writes them, sealed by the real sealer.
import { generateKeyPairSync } from 'node:crypto';
import type { CustomerId } from '../../server/domain/ids.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Database, Transaction } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { roundMax, type Signing, sealRound, takenOf } from '../../server/warden/ledger/seal.ts';
import { lockState, publishLedgerKey } from '../../server/warden/ledger/seal-queries.ts';
import { type Sealed, Sealer } from '../../server/warden/ledger/sealer.ts';
import { openNote, Signatures } from '../../server/warden/ledger/signatures.ts';
import { loadStanding } from '../../server/warden/ledger/standing.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import type { TestDatabase } from './database.ts';
import { addCustomer } from './rows.ts';

const quiet = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');

/**
 * As a warden that has just begun to lead: the record is proved, sealed and signed once. Returns undefined when there
 * was nothing to do.
 */
export const sealOnce = (
  database: Database,
  signing: Signing,
  isSignDue = false,
  isEpochAsked = false,
): Promise<Sealed | undefined> =>
  new Sealer(database, quiet).round(signing, { isSignDue, isEpochAsked, now: Date.now() });

/** What a sealer commits and would sign, inside a transaction of the test. */
export async function sealWithin(
  tx: Transaction,
  signing: Signing,
): Promise<Sealed & { readonly sealed: number; readonly isFull: boolean }> {
  const state = await lockState(tx);
  const signed = openNote(signing, state.checkpoint);
  const standing = await loadStanding(tx, state, signed === undefined ? [] : [signed]);
  const round = await sealRound(tx, standing, { most: takenOf(roundMax), isSigned: () => true });
  if (round === undefined) throw new Error('another warden seals');
  return { ...new Signatures().sign(signing, round.next, round.at), sealed: round.sealed, isFull: round.isFull };
}

export const newCustomer = (sql: TestDatabase, name: string): Promise<CustomerId> => addCustomer(sql, { name });

/** Writes this many entries of one kind and customer; null means no customer. */
export async function writeEntries(
  sql: TestDatabase,
  customer: string | null,
  count: number,
  kind = 'extent.granted',
): Promise<void> {
  await sql.query(
    `insert into ledger_fresh (kind, observer, customer_id, extent, bytes, public, credential, sensitive)
     select $3, 'warden', $1, n, 1000 + n, jsonb_build_object('outcome', 'repeat'), 'SHA256:' || repeat('a', 43), '{}' from generate_series(1, $2::int) n`,
    [customer, count, kind],
  );
}

export class TestSealer {
  readonly #database: Database;
  #signing: Signing | undefined;
  #leader: Sealer | undefined;
  #isNew = true;

  constructor(database: Database) {
    this.#database = database;
  }

  async #sign(): Promise<Signing> {
    return this.#database.withSystem(async (tx) => {
      const origin = originOf((await installationId(tx)).id);
      const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
      await publishLedgerKey(tx, signer.verifierKey);
      return { origin, signer };
    });
  }

  async signing(): Promise<Signing> {
    this.#signing ??= await this.#sign();
    return this.#signing;
  }

  /** Seals what is there. Returns the newest note. */
  async seal(isSignedAnyway = false, isEpochAsked = false): Promise<string | undefined> {
    const signing = await this.signing();
    this.#leader ??= new Sealer(this.#database, quiet);
    let note: string | undefined;
    // An epoch that is asked for begins some seconds after the last one: here they count as passed.
    const now = Date.now() + (isEpochAsked ? 10_000 : 0);
    // What an earlier sealer left is signed first, by the key of this one, and sealing continues after that.
    for (let isFirst = this.#isNew; ; isFirst = false) {
      const beat = {
        isSignDue: isSignedAnyway && note === undefined,
        isEpochAsked: isEpochAsked && note === undefined,
        now,
      };
      const done = await this.#leader.round(signing, beat);
      note = done?.note ?? note;
      this.#isNew = false;
      if (done?.isFull !== true && !(isFirst && done?.sealed === 0)) return note;
    }
  }
}
