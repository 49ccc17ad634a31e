// Owns: a migrated database and the warden's keys, for tests of what is sealed and what is refused, without a running
// warden.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../server/config/config.ts';
import type { Database } from '../../server/postgres/database.ts';
import type { KeyRing } from '../../server/warden/keys/key-ring.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import type { SealKind } from '../../server/warden/seals/seal-queries.ts';
import { startBankDatabase } from './bank.ts';
import { type Teardown, type TestDatabase, temporaryDirectory } from './database.ts';

export type SealBench = {
  readonly sql: TestDatabase;
  readonly warden: { readonly database: Database; readonly keys: KeyRing };
  readonly config: Config;
};

export async function startSealBench(t: Teardown): Promise<SealBench> {
  const { sql, warden: database } = await startBankDatabase(t);
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = { mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory } as Config;
  return { sql, warden: { database, keys: createKeyRing(config) }, config };
}

/** The seal as it is, and a way to put it back: what the database's owner does beside the row. */
export async function keptSeal(sql: TestDatabase, kind: SealKind, id: string): Promise<() => Promise<void>> {
  const [seal] = await sql.query('select to_jsonb(s) as seal from seal s where kind = $1 and row_id = $2', [kind, id]);
  return async () => {
    await sql.query(
      `update seal s set mac = o.mac, sealed_by = o.sealed_by, change_id = o.change_id, maker = o.maker, generation = o.generation
       from jsonb_populate_record(null::seal, $3) o where s.kind = $1 and s.row_id = $2`,
      [kind, id, JSON.stringify((seal as { seal: unknown }).seal)],
    );
  };
}
