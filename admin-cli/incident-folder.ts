// Owns: the directory in which an incident is written down for those concerned: made once, a folder for each customer, its slice of the record, the verifier.
// Must never: write over a file that is there, or leave the directory by what a name says.
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../server/domain/errors.ts';
import type { Client } from './client.ts';

const verifier = join(import.meta.dirname, '..', 'verifier', 'ledger-verifier.mjs');

/** A name that stays in its folder, whatever the record says. */
export const folderOf = (name: string): string =>
  /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) ? name : name.replaceAll(/[^a-z0-9-]/g, '_').slice(0, 64);

export function save(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}

/** For so long the pack waits for the head of the record at which it ends. */
const epochMs = 30_000;
const lookEveryMs = 500;

/** A head that names all trees, sealed and witnessed behind everything that is told here; says so when it does not come. */
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

/** What the first line of a slice says of it. */
export type SliceHead = {
  readonly says: 'affected' | 'not-affected';
  readonly subject: string;
  /** The window in microseconds since 1970; it begins with the first entry ever when `begin` is null. */
  readonly begin: number | null;
  readonly end: number;
  readonly entries: number;
  readonly selected: number;
};

/** Writes the customer's part of the record; undefined: nothing of that customer is on record, and the file is empty. */
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

/** Before anything is asked. One level only: Node makes a way of several for ever where one of its places cannot hold any. */
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

/** The program that checks slices, for whoever is given a folder. */
export const saveVerifier = (out: string): void => copyFileSync(verifier, join(out, 'ledger-verifier.mjs'));
