// Rows of an older version are sealed once; a database that says "never" to a warden that has sealed is not believed.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { adoptRows, brokenSeals } from '../../server/warden/changes/seals.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { temporaryDirectory } from '../support/database.ts';

test('adoption: once', async (t) => {
  const { sql, warden: database } = await startBankDatabase(t);
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  const config = {
    mode: 'development',
    runtimeDirectory,
    storeDirectory: runtimeDirectory,
    log: { level: 'error', pretty: false },
  } as Config;
  mkdirSync(dirname(runtimePaths(config).sealedMark), { recursive: true });
  const warden = { config, database, keys: createKeyRing(config), log: createLogger(config, 'warden') };
  const broken = async (): Promise<number> => {
    let count = 0;
    for await (const _row of brokenSeals(warden)) count += 1;
    return count;
  };
  const bank = await Bank.create({ sql, warden: database }, 'old', 1024);
  await bank.addFile(1);
  await bank.addReader();
  t.ok((await broken()) > 10, 'what an older version left has no seal');
  await adoptRows(warden);
  t.equal(await broken(), 0, 'sealed, all of it');
  t.ok(existsSync(runtimePaths(config).sealedMark));

  await bank.addReader();
  const later = await broken();
  t.ok(later > 0, 'what comes by the back door later');
  await adoptRows(warden);
  t.equal(await broken(), later, 'is not sealed by another start');
  await sql.query('update installation set sealed_at = null');
  await t.rejects(adoptRows(warden), { code: 'configuration', message: /never sealed/ }, 'nor by a database that forgot');
  t.equal(await broken(), later);
});
