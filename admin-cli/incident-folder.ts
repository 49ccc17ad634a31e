// Owns: the directory in which an incident is documented for those concerned: created once, with a folder for each
// customer, that customer's slice of the record, and the verifier.
// Must never: overwrite an existing file, or leave the directory because of what a name contains.
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../server/domain/errors.ts';
import type { Client } from './client.ts';

const verifier = join(import.meta.dirname, '..', 'verifier', 'ledger-verifier.mjs');

/** Returns a folder name that stays inside the directory, whatever name the record has. */
export const folderOf = (name: string): string =>
  /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) ? name : name.replaceAll(/[^a-z0-9-]/g, '_').slice(0, 64);

export function save(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}

/** How long the pack waits for the head of the record at which its slices end, in milliseconds. */
const epochMs = 30_000;
const lookEveryMs = 500;

/**
 * Waits for a head that names all trees, and that was sealed and witnessed after everything that the pack reports.
 * Throws `unavailable` when there is none in time.
 */
export async function waitForEpoch(client: Client): Promise<void> {
  const { askedAt } = await client.call('ledger.begin-epoch', {});
  for (const end = performance.now() + epochMs; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, lookEveryMs))) {
    const { epoch } = await client.call('ledger.status', {});
    if (epoch?.isWitnessed === true && epoch.at >= askedAt) return;
  }
  throw new CofferdamError(
    'unavailable',
    `the record did not come to a witnessed head within ${epochMs / 1000} s, at which the parts for the customers could end: see \`cofferctl ledger status\`, then ask again`,
  );
}

/** What the first line of a slice says about it. */
export type SliceHead = {
  readonly says: 'affected' | 'not-affected';
  readonly subject: string;
  readonly entries: number;
  readonly selected: number;
};

/**
 * Writes the customer's part of the record to a file. Returns undefined when nothing about that customer is on the
 * record; the file is then empty.
 */
export async function saveSlice(client: Client, scope: string, customerId: string, path: string): Promise<SliceHead | undefined> {
  save(path, '');
  let head: SliceHead | undefined;
  for (let offset: number | null = 0; offset !== null; ) {
    const page: { readonly rows: readonly unknown[]; readonly next: number | null } = await client.call('incident.slice', {
      scope,
      customerId,
      offset,
    });
    appendFileSync(path, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    head ??= (page.rows[0] as { readonly slice: SliceHead } | undefined)?.slice;
    offset = page.next;
  }
  return head;
}

/**
 * Creates the directory, or checks that it is empty, before the gateway is asked anything. Only one level is created,
 * because Node.js never returns from a recursive mkdir when one of the parents cannot contain directories. Throws a
 * RangeError otherwise.
 */
export function makeEmpty(out: string): void {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there?.isDirectory() === false) throw new RangeError(`${out} is no directory: name one that does not exist yet`);
  if (there !== undefined && readdirSync(out).length > 0) throw new RangeError(`${out} exists and is not empty: name another directory`);
  if (there !== undefined) return;
  try {
    mkdirSync(out, { mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new RangeError(`${out} cannot be made (${code}): name a new directory in one that is there`);
  }
}

/** Copies the program that verifies slices, for the people who get a folder. */
export const saveVerifier = (out: string): void => copyFileSync(verifier, join(out, 'ledger-verifier.mjs'));
