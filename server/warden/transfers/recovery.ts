// Owns: what a start finds: copies whose row never came, incoming files whose upload is over, and whatever else stands where only objects should.
// Must never: delete an object that a row needs, or one so young that its row may still come; end, or wait, for anything that an edge could put there.
import { runtimePaths } from '../../config/config.ts';
import { idOf, type ObjectId } from '../../domain/ids.ts';
import { deleteObject, type Found, type Listing, listIncoming, listObjects, listStaged, removeStray } from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context.ts';
import { knownObjects } from './sweep-queries.ts';

/** Younger files may belong to a call that is running, on this warden or another. */
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

/** What a pass over one directory came to. `left`: what could not be removed. */
type Passed = { readonly removed: number; readonly foreign: number; readonly left: number };

/** Each by itself: what cannot be removed stays, and keeps nobody from the rest. The log names the first: an edge decides how many there are. */
async function removeEach(warden: Warden, strays: readonly Found[], remove: (one: Found) => Promise<void>): Promise<number> {
  let left = 0;
  for (const one of strays)
    await remove(one).catch((error: unknown) => {
      left += 1;
      if (left === 1) warden.log.warn({ err: error }, 'a stray in the store cannot be removed; it stays');
    });
  return left;
}

/** Nobody of ours puts anything but objects there: it is told, also when it could be cleared away. */
async function tell(warden: Warden, place: string, listing: Listing, passed: Passed): Promise<void> {
  if (passed.foreign === 0 && passed.left === 0 && listing.isWhole) return;
  const { fault, isWhole } = listing;
  const parts = [
    ...(passed.foreign === 0 ? [] : [`${passed.foreign} things that are no objects`]),
    ...(passed.left === 0 ? [] : [`${passed.left} things that cannot be removed`]),
    ...(isWhole ? [] : [fault === null ? `more than ${pageMax} files` : `cannot be read (${fault})`]),
  ];
  const text = `${place}: ${parts.join('; ')}`;
  warden.log.warn({ place, ...passed, fault }, 'the store holds what does not belong there');
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
  const paths = runtimePaths(warden.config);
  const listing = await listIncoming(paths, node, pageMax);
  const foreign = listing.found.filter((one) => !isObject(one) && isOld(one));
  const strays = [...(await unknownAmong(warden, listing.found)), ...foreign];
  const left = await removeEach(warden, strays, (one) => removeStray(paths, { node }, one));
  await tell(warden, paths.incoming(node), listing, { removed: strays.length - left, foreign: foreign.length, left });
  return strays.length - left;
}

async function clearObjects(warden: Warden, prefix: string): Promise<number> {
  const paths = runtimePaths(warden.config);
  const listing = await listObjects(paths, prefix, pageMax);
  const strays = await unknownAmong(warden, listing.found);
  const left = await removeEach(warden, strays, (one) => deleteObject(paths, idOf<ObjectId>(one.name)));
  // A large store has more than one page, and only the warden writes here: that is no alarm.
  await tell(warden, `${paths.objects}/${prefix}`, { ...listing, isWhole: listing.fault === null }, { removed: 0, foreign: 0, left });
  return strays.length - left;
}

async function clearStaged(warden: Warden): Promise<number> {
  const paths = runtimePaths(warden.config);
  const listing = await listStaged(paths, pageMax);
  const strays = listing.found.filter(isOld);
  const left = await removeEach(warden, strays, (one) => removeStray(paths, 'staged', one));
  return strays.length - left;
}

/** Deletes files of the store that no row knows; one sub-directory at a time, so a large store costs little memory. */
export async function collectStrays(warden: Warden): Promise<void> {
  let deleted = await clearStaged(warden);
  for (const { node } of warden.config.edges) deleted += await clearIncoming(warden, node);
  for (let i = 0; i < 256; i += 1) deleted += await clearObjects(warden, i.toString(16).padStart(2, '0'));
  if (deleted > 0) warden.log.info({ deleted }, 'objects without a row were deleted');
}

/**
 * At start: everything committed is whole already (bytes before row, row before answer), so only strays are left to clear. Not on a database that is in
 * doubt: to an old one, everything newer looks like a stray. The regular pass makes up for it.
 */
export async function recover(warden: Warden): Promise<void> {
  if (warden.guard.state.is === 'open') await collectStrays(warden);
}
