// Owns: changing rows as somebody who holds the warden's own keys would: with good seals, so that only what the rows say is wrong.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../server/config/config.ts';
import { Database } from '../../server/postgres/database.ts';
import { sealing } from '../../server/warden/changes/seals.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import type { World } from './world.ts';

export async function asWarden(world: World, ...statements: readonly string[]): Promise<void> {
  const config = JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;
  const keys = createKeyRing(config);
  const database = new Database({ url: world.databaseUrl, applicationName: 'test', connectionsMax: 1 });
  try {
    await database.withSystem((tx) =>
      sealing(
        tx,
        keys,
        () => null,
        async () => {
          for (const statement of statements) await tx.query(statement);
        },
      ),
    );
  } finally {
    await database.close();
  }
}
