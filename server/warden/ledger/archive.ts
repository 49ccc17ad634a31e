// Owns: months of the record that leave the database for a file each, and files whose retention has ended.
// Must never: drop a month whose file is not durable, whole and named in the record by its hash.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { createGzip, type Gzip } from 'node:zlib';
import type { LedgerConfig } from '../../config/ledger-settings.ts';
import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import {
  type Archive,
  archivesToDelete,
  dropMonth,
  findArchive,
  forwardsWithin,
  insertArchive,
  markDeleted,
  monthsToArchive,
  pageOfMonth,
} from './archive-queries.ts';
import { record } from './ledger-queries.ts';

export type ArchiveOptions = {
  readonly config: Pick<LedgerConfig, 'archiveDirectory' | 'onlineMonths' | 'retentionMonths' | 'forwards'>;
  readonly database: Database;
  readonly log: Logger;
};

const pageRows = 5000;
const fileOf = (month: string): string => `ledger-${month.slice(0, 7)}.jsonl.gz`;

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes the file of one month, durably, under a name that counts only when it is whole. */
async function write({ config, database }: ArchiveOptions, month: string): Promise<Archive> {
  await mkdir(config.archiveDirectory, { recursive: true, mode: 0o700 });
  const path = join(config.archiveDirectory, fileOf(month));
  const draft = `${path}.draft`;
  const gzip = createGzip();
  const file = createWriteStream(draft, { mode: 0o600 });
  const done = held(finished(gzip.pipe(file)));
  const entries = await writeLines(database, month, gzip, done).catch((error: unknown) => {
    file.destroy();
    throw error;
  });
  gzip.end();
  await done;
  await sync(draft);
  await rename(draft, path);
  await sync(config.archiveDirectory);
  return {
    month,
    file: fileOf(month),
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
    entries,
  };
}

/** Every entry of a month as a line; how many there were. `failed` rejects when the file cannot be written. */
async function writeLines(database: Database, month: string, gzip: Gzip, failed: Promise<void>): Promise<number> {
  let entries = 0;
  for (let after = { tree: '00000000-0000-0000-0000-000000000000', position: -1 }; ; ) {
    const rows = await database.withSystem((tx) => pageOfMonth(tx, month, after, pageRows));
    const last = rows.at(-1);
    if (last === undefined) break;
    entries += rows.length;
    // A file that cannot be written never drains.
    if (!gzip.write(rows.map((row) => `${row.line}\n`).join(''))) await Promise.race([once(gzip, 'drain'), failed]);
    if (rows.length < pageRows) break;
    after = { tree: last.tree, position: last.position };
  }
  return entries;
}

/** Moves every month that is due into its archive, and deletes archives whose time is over. Goes on where it was interrupted. */
export async function archiveDue(options: ArchiveOptions): Promise<void> {
  const { config, database, log } = options;
  for (const month of await database.withSystem((tx) => monthsToArchive(tx, config.onlineMonths))) {
    let archive = await database.withSystem((tx) => findArchive(tx, month));
    if (archive === undefined) {
      const written = await write(options, month);
      await database.withSystem(async (tx) => {
        await insertArchive(tx, written);
        await record(tx, {
          kind: 'ledger.archived',
          observer: 'warden',
          sensitive: { month: month.slice(0, 7), entries: written.entries, file: written.file, sha256: written.sha256 },
        });
      });
      archive = written;
    }
    const bytes = await readFile(join(config.archiveDirectory, archive.file));
    if (createHash('sha256').update(bytes).digest('hex') !== archive.sha256)
      throw new CofferdamError('corrupt', `the archive ${archive.file} is not the file that was written: the month stays in the database`);
    const names = config.forwards.map((one) => one.name);
    const waiting = await database.withSystem((tx) => forwardsWithin(tx, month, names));
    if (waiting.length > 0) {
      log.warn({ month, forwards: waiting }, 'a month of the record stays in the database: receivers do not have all of it yet');
      continue;
    }
    await database.withSystem((tx) => dropMonth(tx, month));
    log.info({ ...archive }, 'a month of the record is in an archive');
  }
  for (const { month, file } of await database.withSystem((tx) => archivesToDelete(tx, config.retentionMonths))) {
    await rm(join(config.archiveDirectory, file), { force: true });
    await database.withSystem(async (tx) => {
      await markDeleted(tx, month);
      await record(tx, { kind: 'ledger.archive-deleted', observer: 'warden', sensitive: { month: month.slice(0, 7), file } });
    });
    log.info({ month, file }, 'the retention of an archive has ended');
  }
}
