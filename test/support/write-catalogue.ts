// Owns: writing migrations/catalogue.txt from a database that the migrations of this tree made (npm run catalogue).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { catalogueFile, readCatalogue, writtenCatalogue } from '../../server/postgres/catalogue.ts';
import { migrate } from '../../server/postgres/migrate.ts';
import { createEmptyDatabase, migrations, testPasswords } from './database.ts';

const ends: (() => Promise<void> | void)[] = [];
try {
  const url = await createEmptyDatabase({ teardown: (work) => void ends.unshift(work) });
  await migrate(url, migrations, testPasswords, { isCompared: false });
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  ends.unshift(() => client.end());
  const query = async (text: string, values?: readonly unknown[]) =>
    (await client.query(text, values as unknown[])).rows;
  const path = join(migrations, catalogueFile);
  writeFileSync(path, writtenCatalogue(await readCatalogue(query as never)));
  process.stdout.write(`${path} was written: read what changed in it before you commit it\n`);
} finally {
  for (const end of ends) await end();
}
