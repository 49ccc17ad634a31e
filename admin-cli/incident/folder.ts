// Owns: the directory in which an incident is documented for those concerned: created once, with a folder for each
// customer, that customer's slice of the record, and the verifier.
// Must never: overwrite an existing file, or leave the directory because of what a name contains.
import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Client } from '../connection/client.ts';
import { lossesOf } from './limits.ts';
import { type Checking, checkSlice, type ProvedName, provedName, type TreeSize } from './slice-check.ts';

const verifier = join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs');

type Whose = { readonly customer: string | null; readonly customerId: string | null };

/**
 * Returns the name of the folder of a customer: a name that leads to no other folder, whatever the record says, and the
 * id, so that two customers never share one. Throws `corrupt` for an id that has not the form of one.
 */
export function folderOf({ customer, customerId }: Whose): string {
  if (customerId !== null && !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(customerId))
    throw new CofferdamError(
      'corrupt',
      'the gateway named a customer whose id has not the form of one. Nothing more was written',
    );
  const name =
    customer === null
      ? undefined
      : customer
          .replaceAll(/[^a-z0-9.-]/g, '_')
          .replace(/^\.+/, '_')
          .slice(0, 64);
  return [name, customerId].filter((one) => one !== undefined && one !== null).join('_') || 'none';
}

export function save(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}

/** How long the pack waits for the head of the record at which its slices end, in milliseconds. */
const epochPatienceMs = 30_000;
const lookEveryMs = 500;

/**
 * Waits for a head that names all trees, and that was sealed and witnessed after everything that the pack reports.
 * Throws `unavailable` when there is none in time.
 */
export async function waitForEpoch(client: Client): Promise<void> {
  const { askedAt } = await client.call('ledger.begin-epoch', {});
  for (
    const end = performance.now() + epochPatienceMs;
    performance.now() < end;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  ) {
    const { epoch } = await client.call('ledger.status', {});
    if (epoch?.isWitnessed === true && epoch.at >= askedAt) return;
  }
  throw new CofferdamError(
    'unavailable',
    `the record did not come to a witnessed head within ${epochPatienceMs / 1000} s, at which the parts for the customers could end: see \`cofferctl ledger status\`, then ask again`,
  );
}

/** What the first line of a slice says about it. */
export type SliceHead = {
  readonly says: 'affected' | 'not-affected';
  readonly subject: string;
  /** The window in microseconds since 1970; it begins with the first entry ever when `begin` is null. */
  readonly begin: number | null;
  readonly end: number;
  readonly entries: number;
  readonly selected: number;
};

/**
 * A slice that was verified. `lost`: what the record lost of its window, in sentences. `named`: the customer's name, as
 * its own record states it; undefined: that cannot be proved from here.
 */
export type Slice = SliceHead & { readonly named: ProvedName | undefined; readonly lost: readonly string[] };

/**
 * Writes the customer's part of the record and verifies it; undefined: nothing of that customer is on record, and the
 * file is empty. Throws `corrupt` when it does not verify, or when the catalogue calls the customer by another name
 * than its record.
 */
export async function saveSlice(
  client: Client,
  scope: string,
  { customer, customerId }: { readonly customer: string | null; readonly customerId: string },
  path: string,
  checking: Checking,
): Promise<Slice | undefined> {
  save(path, '');
  let head: (SliceHead & { readonly to: { readonly tree: TreeSize } }) | undefined;
  for (let offset: number | null = 0; offset !== null; ) {
    const page: { readonly rows: readonly unknown[]; readonly next: number | null } = await client.call(
      'incident.slice',
      {
        scope,
        customerId,
        offset,
      },
    );
    appendFileSync(path, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    head ??= (page.rows[0] as { readonly slice: typeof head } | undefined)?.slice;
    offset = page.next;
  }
  if (head === undefined) return undefined;
  const lost = lossesOf(await checkSlice(path, customerId, checking));
  const named = await provedName(client, customerId, head.to.tree);
  if (named !== undefined && customer !== null && named.name !== customer)
    throw new CofferdamError(
      'corrupt',
      `the catalogue calls customer ${customerId} "${customer}", and its own record "${named.name}": it was renamed while this ran, or somebody wrote into the catalogue. Give nobody anything of this, and ask again: if it says the same, it was somebody`,
    );
  return { ...head, named, lost };
}

/**
 * Creates the directory, or checks that it is empty, before the gateway is asked anything. Only one level is created,
 * because Node.js never returns from a recursive mkdir when one of the parents cannot contain directories. Throws a
 * RangeError otherwise.
 */
export function makeEmpty(out: string): void {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there?.isDirectory() === false) throw new RangeError(`${out} is no directory: name one that does not exist yet`);
  if (there !== undefined && readdirSync(out).length > 0)
    throw new RangeError(`${out} exists and is not empty: name another directory`);
  if (there !== undefined) return;
  try {
    mkdirSync(out, { mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new RangeError(`${out} cannot be made (${code}): name a new directory in one that is there`);
  }
}

/** Returns the SHA-256 of the program that verifies slices, in hexadecimal. */
export const verifierSum = (): string => createHash('sha256').update(readFileSync(verifier)).digest('hex');

/** Copies the program that verifies slices, for the people who get a folder. */
export const saveVerifier = (out: string): void => copyFileSync(verifier, join(out, 'ledger-verifier.mjs'));
