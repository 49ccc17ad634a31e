// Owns: what a start finds in the store: copies whose row was never written, incoming files whose upload is over, and
// anything that is no object in a place for objects.
// Must never: delete an object that a row needs, or one so young that its row may still be written; or fail, or wait,
// because of anything that an edge could put there.
import { idOf, type ObjectId } from '../../domain/ids.ts';
import { prefixPart } from '../../domain/path-parts.ts';
import {
  deleteObject,
  type Found,
  type Listing,
  listIncoming,
  listObjects,
  listStaged,
  removeStray,
} from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import type { LedgerGuard } from '../ledger/guard.ts';
import { knownObjects } from './sweep-queries.ts';

/**
 * How old a stray must be before it is removed, in milliseconds. A younger file may belong to a call that is running,
 * on this warden or another.
 */
const graceMs = 10 * 60_000;
const pageMax = 10_000;
const objectName = /^[0-9a-f]{32}$/;

const isOld = (one: Found): boolean => one.ageMs > graceMs;
export const isObject = (one: Found): boolean => one.kind === 'file' && objectName.test(one.name);

export async function unknownAmong(
  warden: Pick<Warden, 'database'>,
  found: readonly Found[],
  graceOfMs: number = graceMs,
): Promise<readonly Found[]> {
  const old = found.filter((one) => isObject(one) && one.ageMs > graceOfMs);
  if (old.length === 0) return [];
  const known = await warden.database.withSystem((tx) =>
    knownObjects(
      tx,
      old.map((one) => idOf<ObjectId>(one.name)),
    ),
  );
  return old.filter((one) => !known.has(idOf<ObjectId>(one.name)));
}

/**
 * The result of a pass over one directory: how many strays were removed, how many were no objects, and how many could
 * not be removed (`left`).
 */
type Passed = { readonly removed: number; readonly foreign: number; readonly left: number };

/**
 * Removes the strays one by one. One that cannot be removed stays, and does not keep the others from being removed.
 * Only the first failure is logged, because an edge decides how many there are. Returns the number of failures.
 */
async function removeEach(
  warden: Warden,
  strays: readonly Found[],
  remove: (one: Found) => Promise<void>,
): Promise<number> {
  let left = 0;
  for (const one of strays)
    await remove(one).catch((error: unknown) => {
      left += 1;
      if (left === 1)
        warden.log.warn({ err: error }, 'an entry that does not belong in the store cannot be removed; it stays');
    });
  return left;
}

/**
 * Raises an alert about things that do not belong in a directory, even when they could be removed. Nothing of the
 * product puts anything but objects there.
 */
async function tell(warden: Warden, place: string, listing: Listing, passed: Passed): Promise<void> {
  if (passed.foreign === 0 && passed.left === 0 && listing.isWhole) return;
  const { fault, isWhole } = listing;
  const parts = [
    ...(passed.foreign === 0 ? [] : [`${passed.foreign} entries that are not objects`]),
    ...(passed.left === 0 ? [] : [`${passed.left} entries that cannot be removed`]),
    ...(isWhole ? [] : [fault === null ? `more than ${pageMax} files` : `cannot be read (${fault})`]),
  ];
  const text = `${place}: ${parts.join('; ')}`;
  warden.log.warn({ place, ...passed, fault }, 'the store holds entries that do not belong there');
  await warden.database.withSystem((tx) =>
    insertAlert(tx, {
      kind: 'store.stray',
      severity: 'warning',
      subject: place,
      text,
      facts: { place, ...passed, fault, isWhole },
      nextCommand: `look on that machine: ls -la ${place}; nobody but the product's own users may write there`,
    }),
  );
}

async function clearIncoming(warden: Warden, node: string): Promise<number> {
  const paths = warden.paths;
  const listing = await listIncoming(paths, node, pageMax);
  const foreign = listing.found.filter((one) => !isObject(one) && isOld(one));
  const strays = [...(await unknownAmong(warden, listing.found)), ...foreign];
  const left = await removeEach(warden, strays, (one) => removeStray(paths, { node }, one));
  await tell(warden, paths.incoming(node), listing, { removed: strays.length - left, foreign: foreign.length, left });
  return strays.length - left;
}

async function clearObjects(warden: Warden, prefix: string): Promise<number> {
  const paths = warden.paths;
  const listing = await listObjects(paths, prefix, pageMax);
  const strays = await unknownAmong(warden, listing.found);
  const left = await removeEach(warden, strays, (one) => deleteObject(paths, idOf<ObjectId>(one.name)));
  // A large store has more than one page of objects, and only the warden writes here; so an incomplete listing is no
  // reason for an alert.
  await tell(
    warden,
    `${paths.objects}/${prefixPart(prefix)}`,
    { ...listing, isWhole: listing.fault === null },
    { removed: 0, foreign: 0, left },
  );
  return strays.length - left;
}

async function clearStaged(warden: Warden): Promise<number> {
  const paths = warden.paths;
  const listing = await listStaged(paths, pageMax);
  const strays = listing.found.filter(isOld);
  const left = await removeEach(warden, strays, (one) => removeStray(paths, 'staged', one));
  return strays.length - left;
}

/** The 256 sub-directories of the objects, two hexadecimal digits each. */
export const prefixes: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * The sub-directory whose turn it is at an instant, in milliseconds: another one each minute, the same one for every
 * warden. All of them have had their turn after 256 minutes.
 */
export const prefixAt = (at: number): string => prefixes[Math.floor(at / 60_000) % prefixes.length] ?? '';

/**
 * Deletes files that no row names from the directories of what arrives, and from these sub-directories of the objects,
 * as far as it comes within `withinMs` milliseconds. It reads one sub-directory at a time, so that a large store needs
 * little memory.
 */
export async function collectStrays(
  warden: Warden,
  among: readonly string[],
  withinMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const end = performance.now() + withinMs;
  let deleted = await clearStaged(warden);
  for (const { node } of warden.edges) deleted += await clearIncoming(warden, node);
  for (const prefix of among) {
    if (performance.now() > end) break;
    deleted += await clearObjects(warden, prefix);
  }
  if (deleted > 0) warden.log.info({ deleted }, 'objects without a row were deleted');
}

/** How long a start looks for strays among the objects, in milliseconds. The regular pass does what is left. */
const atStartMs = 2000;

/**
 * Clears strays at the start. Everything that was committed is whole already, because bytes are written before their
 * row and the row before the answer. Nothing is cleared while the database is in doubt, because to an old database
 * every newer object looks like a stray; the regular pass does it later. A start does not take longer because there are
 * many objects.
 */
export async function recover(warden: Warden, guard: Pick<LedgerGuard, 'state'>): Promise<void> {
  if (guard.state.is === 'open') await collectStrays(warden, prefixes, atStartMs);
}
