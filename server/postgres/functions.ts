// Owns: the files of `migrations/functions`: which of them this database applied last, and applying those that differ.
// Decision 45 says what a change of them has to keep while two versions of the warden run side by side.
// Must never: put back a text that a newer version has replaced.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CofferdamError } from '../domain/errors.ts';

/** A row for each file: what was applied last, and what it has replaced. */
export const functionTable = `create table if not exists schema_function (
  file text primary key, sha256 text not null, replaced text[] not null, applied_at timestamptz not null default clock_timestamp())`;

type FunctionFile = { readonly file: string; readonly text: string; readonly sha256: string };

function functionFiles(directory: string): readonly FunctionFile[] {
  return readdirSync(join(directory, 'functions'))
    .filter((name) => /^[a-z0-9-]+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(directory, 'functions', name), 'utf8');
      return { file: `functions/${name}`, text, sha256: createHash('sha256').update(text).digest('hex') };
    });
}

/** Throws `configuration` when a newer version applied this file, or a file that this version does not have. */
function requireNotOlder(files: readonly FunctionFile[], known: ReadonlyMap<string, readonly string[]>): void {
  for (const file of known.keys())
    if (!files.some((one) => one.file === file))
      throw new CofferdamError(
        'configuration',
        `the database has ${file}, which this version does not know: it is newer`,
      );
  for (const { file, sha256 } of files)
    if (known.get(file)?.includes(sha256) === true)
      throw new CofferdamError(
        'configuration',
        `the database has another ${file}, which replaced the one of this version: it is newer. To go back to a former text, change a word of its comments`,
      );
}

/**
 * Applies each file whose text is not the one that this database applied last. The caller has begun the transaction and
 * holds the lock of migrations. Returns the files that were applied now. Throws `configuration` when a file fails, with
 * the error of the database as its cause, and when the database is newer.
 */
export async function applyFunctions(client: pg.Client, directory: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ file: string; sha256: string; replaced: string[] }>(
    'select file, sha256, replaced from schema_function',
  );
  const files = functionFiles(directory);
  requireNotOlder(files, new Map(rows.map((row) => [row.file, row.replaced])));
  const last = new Map(rows.map((row) => [row.file, row.sha256]));
  const changed = files.filter(({ file, sha256 }) => last.get(file) !== sha256);
  // A function may call one of a later file. All of them are there when the transaction ends.
  await client.query('set local check_function_bodies = off');
  for (const { file, text, sha256 } of changed) {
    try {
      await client.query(text);
    } catch (cause) {
      throw new CofferdamError(
        'configuration',
        `${file} failed: ${cause instanceof Error ? cause.message : 'unknown error'}`,
        { cause },
      );
    }
    await client.query(
      `insert into schema_function (file, sha256, replaced) values ($1, $2, '{}')
       on conflict (file) do update set replaced = schema_function.replaced || schema_function.sha256, sha256 = excluded.sha256, applied_at = clock_timestamp()`,
      [file, sha256],
    );
  }
  return changed.map(({ file }) => file);
}
