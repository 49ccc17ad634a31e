// Owns: a sealed record without a gateway: entries written as a warden writes them, sealed by the real sealer.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import type { Database } from '../../server/postgres/database.ts';
import { installationId } from '../../server/warden/changes/seal-queries.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { type Signing, sealRound } from '../../server/warden/ledger/seal.ts';
import { publishLedgerKey } from '../../server/warden/ledger/seal-queries.ts';
import type { TestDatabase } from './database.ts';

export const newCustomer = async (sql: TestDatabase, name: string): Promise<string> => {
  const id = randomUUID();
  await sql.query("insert into customer (id, name, state) values ($1, $2, 'active')", [id, name]);
  return id;
};

/** Writes so many entries of one kind and customer; null: of nobody. */
export async function writeEntries(sql: TestDatabase, customer: string | null, count: number, kind = 'extent.granted'): Promise<void> {
  await sql.query(
    `insert into ledger_fresh (kind, observer, customer_id, extent, bytes, public, credential, sensitive)
     select $3, 'warden', $1, n, 1000 + n, jsonb_build_object('outcome', 'repeat'), 'SHA256:' || repeat('a', 43), '{}' from generate_series(1, $2::int) n`,
    [customer, count, kind],
  );
}

export class Sealer {
  readonly #database: Database;
  #signing: Signing | undefined;

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

  /** Seals what is there; the newest note. */
  async seal(isSignedAnyway = false): Promise<string | undefined> {
    const signing = await this.signing();
    let note: string | undefined;
    for (;;) {
      const round = await this.#database.withSystem((tx) => sealRound(tx, signing, isSignedAnyway && note === undefined));
      note = round?.note ?? note;
      if (round?.isFull !== true) return note;
    }
  }
}
