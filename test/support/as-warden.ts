// Owns: changing rows as somebody who holds the warden's own keys would: with valid seals, so that only what the rows
// say is wrong.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../server/config/config.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { sqlState } from '../../server/postgres/database-errors.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { resealedRow } from '../../server/warden/seals/generations.ts';
import { mayBeMadeBy } from '../../server/warden/seals/provenance.ts';
import { readRows, rowsWrittenUnder, type SealKind, setWord } from '../../server/warden/seals/seal-queries.ts';
import { sealRows } from '../../server/warden/seals/seals.ts';
import type { World } from './world.ts';

/**
 * Returns the maker that the seal names of a row which names neither a change nor a maker: the console where it may
 * make the kind, otherwise one operator. It is never `self-test`, whose rows may rest only on a self-test's own
 * account.
 */
const makerOf = (kind: SealKind): string => (mayBeMadeBy(kind, 'console') ? 'console' : 'operator');

export async function withWardensKeys(
  config: Config,
  databaseUrl: string,
  work: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const keys = createKeyRing(config);
  const database = new Database({ url: databaseUrl, applicationName: 'test', connectionsMax: 1 });
  try {
    await database.withSystem(async (tx) => {
      const word = randomBytes(18).toString('base64url');
      await setWord(tx, word);
      await work(tx);
      const rows = await readRows(tx, await rowsWrittenUnder(tx, word));
      const sealed = await sealRows(
        tx,
        keys,
        rows.map((row) => ({
          ...row,
          maker: row.change === null && row.maker === null ? makerOf(row.kind) : row.maker,
          generation: row.generation + 1,
        })),
      );
      const again = sealed.filter((row) => row.generation > 1).map(resealedRow);
      if (again.length > 0) await record(tx, { kind: 'rows.resealed', observer: 'warden', sensitive: { rows: again } });
    });
  } finally {
    await database.close();
  }
}

/**
 * Runs the statements with the warden's keys. Charges lock the same budgets in their own order: a transaction that the
 * server undid because of that is repeated.
 */
export async function asWarden(world: World, ...statements: readonly string[]): Promise<void> {
  const config = JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;
  for (let tries = 1; ; tries += 1)
    try {
      return await withWardensKeys(config, world.databaseUrl, async (tx) => {
        for (const statement of statements) await tx.query(statement);
      });
    } catch (error) {
      if (sqlState(error) !== '40P01' || tries === 5) throw error;
    }
}
