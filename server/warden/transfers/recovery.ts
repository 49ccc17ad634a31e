// Owns: what a start finds: copies whose row never came, incoming files whose upload is over.
// Must never: delete an object that a row needs, or one so young that its row may still come.
import { runtimePaths } from '../../config/config.ts';
import { idOf, type NodeName } from '../../domain/ids.ts';
import { deleteObject, type Found, listIncoming, listObjects, removeIncoming } from '../../extents/object-store.ts';
import type { Warden } from '../context.ts';
import { knownObjects } from './sweep-queries.ts';

/** Younger files may belong to a call that is running, on this warden or another. */
const graceMs = 10 * 60_000;
const pageMax = 10_000;

async function unknownAmong(warden: Warden, found: readonly Found[]): Promise<readonly Found[]> {
  const old = found.filter((one) => one.ageMs > graceMs);
  if (old.length === 0) return [];
  const known = await warden.database.withSystem((tx) =>
    knownObjects(
      tx,
      old.map((one) => one.object),
    ),
  );
  return old.filter((one) => !known.has(one.object));
}

/** Deletes files of the store that no row knows; one sub-directory at a time, so a large store costs little memory. */
export async function collectStrays(warden: Warden): Promise<void> {
  const paths = runtimePaths(warden.config);
  let deleted = 0;
  for (const { node } of warden.config.edges)
    for (const stray of await unknownAmong(warden, await listIncoming(paths, node, pageMax))) {
      await removeIncoming(paths, idOf<NodeName>(node), stray.object);
      deleted += 1;
    }
  for (let i = 0; i < 256; i += 1)
    for (const stray of await unknownAmong(warden, await listObjects(paths, i.toString(16).padStart(2, '0'), pageMax))) {
      await deleteObject(paths, stray.object);
      deleted += 1;
    }
  if (deleted > 0) warden.log.info({ deleted }, 'objects without a row were deleted');
}

/**
 * At start: everything committed is whole already (bytes before row, row before answer), so only strays are left to clear. Not on a database that is in
 * doubt: to an old one, everything newer looks like a stray. The regular pass makes up for it.
 */
export async function recover(warden: Warden): Promise<void> {
  if (warden.guard.state.is === 'open') await collectStrays(warden);
}
