// Owns: how a file is opened for reading by a look, of which nothing is written (decision 69).
// Must never: open a file by a look that the general way would refuse, or give another version of it.
import { randomUUID } from 'node:crypto';
import { formatPath } from '../../domain/paths.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Result } from '../../rpc/operation.ts';
import { archiveName } from '../catalogue/done.ts';
import type { locateEntry } from '../catalogue/locate.ts';
import type { Warden } from '../context/context.ts';
import type { FolderScope, OpenSession } from '../sessions/open-session.ts';
import { lookAtFile } from './download-queries.ts';
import type { FreshHandles } from './fresh-handles.ts';
import { downloadMac } from './handle-seals.ts';

type Place = ReturnType<typeof locateEntry>;

/** How many extents OPEN tells of at once. A file that has more is not opened by a look. */
export const firstExtentsMax = 16;

/**
 * Returns whether the session may read files of this folder. Reading requires the verb `read`; in a deposit folder that
 * allows it, partner accounts may read back what was delivered if they hold `list`.
 */
export function mayRead(session: OpenSession, folder: FolderScope): boolean {
  return (
    folder.verbs.has('read') ||
    (folder.direction === 'deposit' &&
      folder.readBack &&
      folder.verbs.has('list') &&
      session.account.plane === 'partner')
  );
}

/** Returns whole seconds since 1970. */
export const secondsOf = (moment: Date): number => Math.max(0, Math.floor(moment.getTime() / 1000));

/** Returns the public fields of the entry of an opening. */
export const openingSays = (place: Place, sha256: Buffer | null, extentCount: number) => ({
  folder: place.folder.name,
  path: formatPath(place.rest),
  sha256: sha256?.toString('hex') ?? null,
  extentCount,
});

/**
 * Opens a file by a look: it is charged and recorded with its first read. Returns undefined when the file must be
 * opened like any other, which includes every refusal.
 */
export async function lookedAt(
  { database, keys }: Pick<Warden, 'database' | 'keys'>,
  fresh: FreshHandles,
  session: OpenSession,
  place: Place,
): Promise<Result<EdgeToWarden, 'download.open'> | undefined> {
  const { folder, customer } = place;
  if (!fresh.hasRoom(session.id) || !folder.verbs.has('list') || !mayRead(session, folder)) return undefined;
  // It may lead into the account's archive.
  if (folder.verbs.has('done') && place.rest[0] === archiveName) return undefined;
  const seen = await lookAtFile(database, {
    session: session.id,
    folder: folder.id,
    parents: place.parents,
    name: place.name,
    extentsMax: firstExtentsMax,
  });
  if (seen === undefined) return undefined;
  const { version, content, extentCount, size, sha256 } = seen;
  const download = randomUUID();
  const handle = { session: session.id, customer: customer.id, folder: folder.id, version, content };
  const mac = downloadMac(keys, download, handle);
  const says = openingSays(place, sha256, extentCount);
  const opening = { folder: folder.id, mac, size, says, isPaid: false, isRecorded: false, isDoubtful: false };
  fresh.make(download, { ...handle, extentCount, extents: seen.extents }, opening, session.node);
  return {
    download,
    customer: customer.id,
    version,
    closesAside: true,
    extents: [...seen.extents],
    size,
    modifiedAt: secondsOf(seen.modifiedAt),
  };
}
