// Owns: the handlers of a download: open, locate, grant and close.
// Must never: derive a key before the charge and its entry are committed. Without a charged budget no key leaves the
// warden.
import { randomUUID } from 'node:crypto';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers } from '../../rpc/operation.ts';
import { byOf, type Charging } from '../budgets/charges.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { viewedAt } from '../catalogue/done.ts';
import { locateEntry, notFound, requireVerb, scopeOf, walk } from '../catalogue/locate.ts';
import { findDirectory, findFile, newestPublished, visibleVersion } from '../catalogue/tree-queries.ts';
import { isDirectory } from '../catalogue/wrong-kind.ts';
import type { Read } from '../keys/key-ring.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import { alarmImpossible } from '../sessions/impossible-words.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { closeAlone } from './close-alone.ts';
import { findDownload, insertDownload, locateExtents, type OpenDownload } from './download-queries.ts';
import { extentAnswer } from './extent-answer.ts';
import { FreshHandles } from './fresh-handles.ts';
import { downloadMac, fits, reaches, refuseAltered } from './handle-seals.ts';
import { firstExtentsMax, lookedAt, mayRead, openingSays, secondsOf } from './looks.ts';
import { ReleasedExtents } from './released-extents.ts';
import type { Batching } from './transfer-batches.ts';

type DownloadOperations = 'download.open' | 'download.locate' | 'download.grant' | 'download.close' | 'flow.permit';

/**
 * The largest number of handles that this process opened or verified and remembers. For others, the row is read and
 * verified again.
 */
const handlesMax = 20_000;

const gone = (): CofferdamError => new CofferdamError('not-found', 'the file is no longer open');

export function downloadHandlers(
  warden: Charging & Batching,
): Pick<Handlers<EdgeToWarden, EdgeCaller>, DownloadOperations> {
  const { database, sessions, keys, charges, batches } = warden;
  const released = new ReleasedExtents();
  const fresh = new FreshHandles();
  const verified = new Map<string, OpenDownload>();
  const remember = (id: string, open: OpenDownload): void => {
    const [oldest] = verified.size >= handlesMax ? verified.keys() : [];
    if (oldest !== undefined) verified.delete(oldest);
    verified.set(id, open);
  };

  /**
   * Finds what this session opened under this id, as it was sealed when it was opened. A row that says something else
   * is refused. Returns undefined when nothing is open under this id.
   */
  const findOpened = async (session: OpenSession, id: string): Promise<OpenDownload | undefined> => {
    if (fresh.isDead(id)) return undefined;
    const known = fresh.find(id, session.id) ?? verified.get(id);
    if (known !== undefined && known.session === session.id) return known;
    // In all customers: a row that was moved to another one is altered, and not gone.
    const found = await database.withSystem((tx) => findDownload(tx, id, session.id));
    if (found === undefined) return undefined;
    if (!fits(found.mac, downloadMac(keys, id, found)) || !reaches(session, found.customer, found.folder))
      throw await refuseAltered(warden, 'download', id);
    remember(id, found);
    return found;
  };
  const opened = async (session: OpenSession, id: string): Promise<OpenDownload> => {
    const found = await findOpened(session, id);
    if (found === undefined) throw gone();
    return found;
  };
  return {
    'download.open': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      const asked = locateEntry(session, path, 'read');
      const looked = await lookedAt(warden, fresh, session, asked);
      if (looked !== undefined) return looked;
      const download = randomUUID();
      const open = (): ReturnType<Handlers<EdgeToWarden, EdgeCaller>['download.open']> =>
        sessions.within(session, scopeOf(asked.customer), async (tx) => {
          const { view, place } = await viewedAt(tx, session, asked);
          requireVerb(session, place.folder, 'list');
          if (place.rest.length === 0) throw isDirectory();
          const parent = await walk(tx, place.folder.id, place.parents);
          const file = await findFile(tx, place.folder.id, parent, place.name);
          const visible = file && (await visibleVersion(tx, file, session.account.id, view));
          if (file === undefined || visible === undefined) {
            const isOther = (await findDirectory(tx, place.folder.id, parent, place.name)) !== undefined;
            throw isOther ? isDirectory() : notFound();
          }
          if (!mayRead(session, place.folder))
            throw new CofferdamError('denied', 'files in this folder are for delivery and cannot be read back');
          const version = visible.state === 'published' ? visible : await newestPublished(tx, file);
          if (version === undefined) throw new CofferdamError('denied', 'the file is not complete yet');
          const handle = {
            session: session.id,
            customer: place.customer.id,
            folder: place.folder.id,
            version: version.id,
            content: version.content,
          };
          const open = { ...handle, extentCount: version.extentCount };
          remember(download, open);
          await insertDownload(tx, download, handle, downloadMac(keys, download, handle));
          await record(tx, {
            kind: 'download.opened',
            customer: place.customer.id,
            ...bySession(session),
            handle: download,
            version: version.id,
            bytes: version.size,
            public: openingSays(place, version.sha256, version.extentCount),
          });
          const extents = await locateExtents(tx, download, open, 0, firstExtentsMax);
          return {
            download,
            customer: place.customer.id,
            version: version.id,
            extents: [...(extents ?? [])],
            size: version.size,
            modifiedAt: secondsOf(version.modifiedAt),
          };
        });
      return charges.opening(session, asked.customer.id, download, open);
    },

    'download.locate': async ({ token, download, offset }, caller) => {
      const session = await sessions.require(token, caller);
      const looked = fresh.find(download, session.id);
      if (looked !== undefined) return { extents: looked.extents.filter((one) => one.offset + one.bytes > offset) };
      const open = await opened(session, download);
      return sessions.within(session, [open.customer], async (tx) => {
        const extents = await locateExtents(tx, download, open, offset, 256);
        if (extents === undefined) throw gone();
        return { extents: [...extents] };
      });
    },

    'download.grant': async ({ token, download, index }, caller) => {
      const session = await sessions.require(token, caller);
      const open = await opened(session, download);
      const extent = await fresh
        .read(
          download,
          session.id,
          async (opening) => {
            const first = await charges.release(session, open, download, index, opening);
            remember(download, open);
            return first;
          },
          () => charges.release(session, open, download, index),
        )
        .catch(async (error: unknown) => {
          // Nothing is open as it was opened. Whether its row was altered is told by the row.
          if (toCofferdamError(error).code === 'not-found' && verified.delete(download))
            await findOpened(session, download);
          throw error;
        });
      // The database has charged by its rows. A key is derived only for the content on which this handle was opened.
      if (extent.customer !== open.customer || extent.content !== open.content)
        throw await refuseAltered(warden, 'download', download);
      released.note(download, index);
      const read: Read = (work) => database.withCustomers([open.customer], work);
      return { index, ...(await extentAnswer(keys, read, open.customer, index, extent)) };
    },

    'flow.permit': async ({ token, customer, direction, bytes }, caller) => {
      const session = await sessions.require(token, caller);
      const scope = session.customers.find((one) => one.id === customer);
      if (scope === undefined) throw gone();
      return charges.permit(session, scope.id, direction, bytes);
    },

    'download.close': async ({ token, download, sentBytes, by }, caller) => {
      const session = await sessions.require(token, caller);
      if (await fresh.close(download, session.id)) return {};
      const open = await findOpened(session, download);
      if (open === undefined) return {};
      const known = released.take(download);
      verified.delete(download);
      // What nothing depends on is closed together with others. Otherwise the record is asked whether a key was
      // released.
      const { sentBytes: closed } =
        known > 0 || sentBytes === 0
          ? await batches.closes[session.account.plane].request({
              session: session.id,
              by: byOf(session, open.customer),
              customer: open.customer,
              version: open.version,
              download,
              sentBytes,
              how: by,
            })
          : { sentBytes: null };
      if (closed === null) await closeAlone(warden, session, open, { download, sentBytes, by }, known);
      else if (closed < sentBytes) await database.withSystem((tx) => alarmImpossible(tx, session, sentBytes));
      return {};
    },
  };
}
