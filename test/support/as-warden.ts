// Owns: changing rows as somebody who holds the warden's own keys would: with good seals, so that only what the rows say is wrong.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../server/config/config.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { sealing } from '../../server/warden/changes/seals.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import type { World } from './world.ts';

export async function withWardensKeys(config: Config, databaseUrl: string, work: (tx: Transaction) => Promise<void>): Promise<void> {
  const keys = createKeyRing(config);
  const database = new Database({ url: databaseUrl, applicationName: 'test', connectionsMax: 1 });
  try {
    await database.withSystem((tx) =>
      sealing(
        tx,
        keys,
        () => null,
        () => work(tx),
      ),
    );
  } finally {
    await database.close();
  }
}

export function asWarden(world: World, ...statements: readonly string[]): Promise<void> {
  const config = JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;
  return withWardensKeys(config, world.databaseUrl, async (tx) => {
    for (const statement of statements) await tx.query(statement);
  });
}
