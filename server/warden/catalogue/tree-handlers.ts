// Owns: the handlers of the operations `tree.*`: what a session may see and change of names, times and directories.
// Must never: tell a session whether something exists that it may not see.
import { randomUUID } from 'node:crypto';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { type DirectoryId, type FileId, idOf } from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Attributes, EdgeToWarden, Found } from '../../rpc/edge-warden.ts';
import { frameBytesMax } from '../../rpc/framing.ts';
import type { Handlers } from '../../rpc/operation.ts';
import type { Charging } from '../budgets/charges.ts';
import { uploadRoom } from '../budgets/room-queries.ts';
import { pageName } from '../budgets/told-pages.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { FolderScope, OpenSession } from '../sessions/open-session.ts';
import type { Storing } from '../store/store-client.ts';
import { removeFile, renameFile } from './change-file.ts';
import { viewedAt } from './done.ts';
import {
  type InFolder,
  knowsFile,
  locate,
  locateEntry,
  notFound,
  type PathTarget,
  requireVerb,
  scopeOf,
  walk,
  walkHolding,
} from './locate.ts';
import { recordName } from './name-entry.ts';
import {
  countDirectories,
  deleteFileIfBare,
  directoryModifiedAt,
  findDirectory,
  findFile,
  insertDirectory,
  isOccupied,
  listEntries,
  liveVersions,
  lockDirectory,
  lockFile,
  removeDirectory,
  setModifiedAt,
  type VersionRow,
  visibleVersion,
} from './tree-queries.ts';
import { existsAlready, inUse, isNoDirectory } from './wrong-kind.ts';

type TreeOperations =
  | 'tree.stat'
  | 'tree.space'
  | 'tree.list'
  | 'tree.remove'
  | 'tree.rename'
  | 'tree.make-directory'
  | 'tree.remove-directory'
  | 'tree.set-times';

/** The modification time of the levels that operators set up, in seconds since 1970. */
const epochZero = 0;
const toSeconds = (date: Date): number => Math.max(0, Math.floor(date.getTime() / 1000));

const isWritableBy = (session: OpenSession, folder: FolderScope): boolean =>
  folder.verbs.has('write') && !session.account.readOnly;

function directoryAttributes(session: OpenSession, folder: FolderScope | null, modifiedAt: number): Attributes {
  const isWritable = folder !== null && isWritableBy(session, folder);
  return { kind: 'directory', size: 0, modifiedAt, permissions: isWritable ? 0o750 : 0o550 };
}

/**
 * What one entry of a page takes in a frame, in bytes, without its name; and what the answer around the entries takes.
 */
const [entryBytes, aroundBytes] = [128, 1024];

/** Returns as many of the entries, from the first one on, as fit into one frame of the rpc; at least one. */
function inOneFrame<E extends { readonly name: string }>(entries: readonly E[]): readonly E[] {
  let left = frameBytesMax - aroundBytes;
  const end = entries.findIndex(({ name }) => {
    left -= entryBytes + Buffer.byteLength(JSON.stringify(name));
    return left < 0;
  });
  return end < 0 ? entries : entries.slice(0, Math.max(1, end));
}

/** What a session is told of the upload that writes a version of its account. */
const writingFor = (session: OpenSession, writer: NonNullable<VersionRow['writer']>): Found['writing'] =>
  writer.session === session.id ? { upload: writer.upload } : {};

/** Returns whether the session may write there; for a level above the folders, in a folder below it. */
function mayWrite(session: OpenSession, place: PathTarget): boolean {
  if (place.kind === 'folder') return isWritableBy(session, place.folder);
  const customers = place.kind === 'customer' ? [place.customer] : session.customers;
  return customers.some(({ folders }) => folders.some((folder) => isWritableBy(session, folder)));
}

export function treeHandlers(warden: Charging & Storing): Pick<Handlers<EdgeToWarden, EdgeCaller>, TreeOperations> {
  const { sessions, charges, limits, store, keys } = warden;
  const inFolder = <T>(session: OpenSession, place: InFolder, work: (tx: Transaction) => Promise<T>): Promise<T> =>
    sessions.within(session, scopeOf(place.customer), work);
  const { directoriesPerFolderMax } = limits;
  /**
   * Charges one item for everything that leaves an entry or a name: for a new directory in the direction `in`, for
   * everything else in the direction `list`.
   */
  const charge = (session: OpenSession, place: InFolder, direction: 'in' | 'list'): Promise<void> =>
    charges.take(session, place.customer.id, direction, { bytes: 0, items: 1 });
  /** Returns what is there. Throws `not-found` when there is nothing that the session may see. */
  const attributesAt = async (session: OpenSession, place: PathTarget): Promise<Found> => {
    if (place.kind !== 'folder') return directoryAttributes(session, null, epochZero);
    if (place.rest.length === 0) return directoryAttributes(session, place.folder, epochZero);
    requireVerb(session, place.folder, 'list');
    return inFolder(session, place, async (tx) => {
      const {
        view,
        place: { rest },
      } = await viewedAt(tx, session, place);
      const name = rest.at(-1);
      if (name === undefined) return directoryAttributes(session, place.folder, epochZero);
      const parent = await walk(tx, place.folder.id, rest.slice(0, -1));
      const file = await findFile(tx, place.folder.id, parent, name);
      const version = file && (await visibleVersion(tx, file, session.account.id, view));
      if (version !== undefined)
        return {
          kind: 'file',
          size: version.size,
          modifiedAt: toSeconds(version.modifiedAt),
          permissions: 0o640,
          ...(version.writer === null ? {} : { writing: writingFor(session, version.writer) }),
        } as const;
      const directory = await findDirectory(tx, place.folder.id, parent, name);
      const modifiedAt = directory && (await directoryModifiedAt(tx, directory));
      if (modifiedAt === undefined) throw notFound();
      return directoryAttributes(session, place.folder, toSeconds(modifiedAt));
    });
  };
  /** Returns whether the session may see that something is at a place. */
  const isThere = async (session: OpenSession, place: PathTarget): Promise<boolean> => {
    try {
      await attributesAt(session, place);
      return true;
    } catch (error) {
      const { code } = toCofferdamError(error);
      if (code !== 'not-found' && code !== 'denied') throw error;
      return false;
    }
  };
  return {
    'tree.stat': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      return attributesAt(session, locate(session, path));
    },

    'tree.space': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locate(session, path);
      // This throws `not-found` when the session sees nothing there.
      await attributesAt(session, place);
      const { account, credentialId: credential } = session;
      const customer = place.kind === 'root' ? account.customer : place.customer.id;
      const room = await sessions.within(session, customer === null ? [] : [customer], (tx) =>
        uploadRoom(tx, { credential, account: account.id, customer, plane: account.plane }),
      );
      const isWritable = mayWrite(session, place);
      // Where the store has never answered, nobody knows of any space.
      const free = await store.freeBytes().catch(() => 0);
      const isFull = free < limits.freeSpaceFloorBytes;
      return isWritable && !isFull ? { ...room, isWritable } : { ...room, freeBytes: 0, freeFiles: 0, isWritable };
    },

    'tree.list': async ({ token, path, after, limit }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locate(session, path);
      if (place.kind !== 'folder') {
        const fixed =
          place.kind === 'root' && session.account.plane === 'internal'
            ? session.customers
            : ((place.kind === 'customer' ? place.customer : session.customers[0])?.folders ?? []);
        const page = fixed.filter((one) => after === undefined || one.name > after).slice(0, limit);
        const entries = page.map((one) => ({
          name: one.name,
          attributes: directoryAttributes(session, 'verbs' in one ? one : null, epochZero),
        }));
        const last = entries.at(-1);
        return { entries, ...(last !== undefined && entries.length === limit ? { next: last.name } : {}) };
      }
      requireVerb(session, place.folder, 'list');
      const all = await inFolder(session, place, async (tx) => {
        const at = await viewedAt(tx, session, place);
        const parent = await walk(tx, place.folder.id, at.place.rest);
        const where = { folder: place.folder.id, parent, view: at.view };
        return listEntries(tx, where, session.account.id, after ?? '', limit);
      });
      const found = inOneFrame(all);
      const isCut = all.length === limit || found.length < all.length;
      const page = pageName([place.folder.id, place.rest, after ?? null, limit], [found, isCut]);
      // That a folder is empty is also an answer, so it is charged as one name.
      await charges.listing(session, place.customer.id, page, Math.max(1, found.length));
      await inFolder(session, place, (tx) =>
        record(tx, {
          kind: 'folder.listed',
          customer: place.customer.id,
          ...bySession(session),
          public: {
            folder: place.folder.name,
            path: formatPath(place.rest),
            names: found.length,
            after: after ?? null,
          },
        }),
      );
      const entries = found.map((entry) => ({
        name: entry.name,
        attributes:
          entry.kind === 'directory'
            ? directoryAttributes(session, place.folder, toSeconds(entry.modifiedAt))
            : ({
                kind: 'file',
                size: entry.size,
                modifiedAt: toSeconds(entry.modifiedAt),
                permissions: 0o640,
              } as const),
      }));
      const last = entries.at(-1);
      return {
        entries,
        ...(last !== undefined && isCut ? { next: last.name } : {}),
      };
    },

    'tree.remove': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path, 'remove');
      await charge(session, place, 'list');
      await inFolder(session, place, (tx) => removeFile(tx, session, place));
      return {};
    },

    'tree.rename': async ({ token, from, to, replace }, caller) => {
      const session = await sessions.require(token, caller);
      const source = locateEntry(session, from, 'rename');
      const target = locateEntry(session, to, 'rename-to');
      if (source.folder.id !== target.folder.id)
        throw new CofferdamError('denied', 'files cannot be moved between folders');
      await charge(session, source, 'list');
      await inFolder(session, source, (tx) => renameFile(tx, keys, session, source, target, replace));
      return {};
    },

    'tree.make-directory': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path, 'make-directory');
      const isAllowed = place.folder.directoriesAllowed && isWritableBy(session, place.folder);
      // Clients that make every level of a path must learn which of them exist, wherever they may make none.
      if (!isAllowed && (await isThere(session, place))) throw existsAlready();
      requireVerb(session, place.folder, 'write');
      if (!isAllowed) throw new CofferdamError('denied', 'directories cannot be made in this folder');
      await charge(session, place, 'in');
      await inFolder(session, place, async (tx) => {
        if ((await countDirectories(tx, place.folder.id, directoriesPerFolderMax)) >= directoriesPerFolderMax)
          throw new CofferdamError('over-limit', 'this folder holds as many directories as it may');
        const parent = await walkHolding(tx, session, place.folder, place.parents);
        // Every operation that creates a name locks the row of the file first, so that a file (of any account, visible
        // or not) and a directory never share a name.
        const file = await lockFile(
          tx,
          place.customer.id,
          place.folder.id,
          parent,
          place.name,
          idOf<FileId>(randomUUID()),
        );
        if ((await liveVersions(tx, file)).length > 0)
          throw (await knowsFile(tx, session, place.folder, parent, place.name)) ? existsAlready() : inUse();
        const id = idOf<DirectoryId>(randomUUID());
        if (!(await insertDirectory(tx, id, place.customer.id, place.folder.id, parent, place.name)))
          throw existsAlready();
        await deleteFileIfBare(tx, file);
        await recordName(tx, session, place, 'directory.made');
      });
      return {};
    },

    'tree.remove-directory': async ({ token, path }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path, 'remove-directory');
      requireVerb(session, place.folder, 'write');
      if (!place.folder.directoriesAllowed)
        throw new CofferdamError('denied', 'directories cannot be removed in this folder');
      await charge(session, place, 'list');
      await inFolder(session, place, async (tx) => {
        const parent = await walk(tx, place.folder.id, place.parents);
        const directory = await findDirectory(tx, place.folder.id, parent, place.name);
        if (directory === undefined)
          throw (await knowsFile(tx, session, place.folder, parent, place.name)) ? isNoDirectory() : notFound();
        await lockDirectory(tx, directory);
        if (await isOccupied(tx, directory)) throw new CofferdamError('conflict', 'the directory is not empty');
        await removeDirectory(tx, directory);
        await recordName(tx, session, place, 'directory.removed');
      });
      return {};
    },

    'tree.set-times': async ({ token, path, modifiedAt }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path, 'set-times');
      requireVerb(session, place.folder, 'write');
      await charge(session, place, 'list');
      await inFolder(session, place, async (tx) => {
        const parent = await walk(tx, place.folder.id, place.parents);
        const file = await findFile(tx, place.folder.id, parent, place.name);
        const version = file && (await visibleVersion(tx, file, session.account.id));
        if (version === undefined && (await findDirectory(tx, place.folder.id, parent, place.name)) === undefined)
          throw notFound();
        // The time that the sender sets is kept until somebody has read the file. After that, and for other accounts,
        // the request is accepted and ignored, as modes are.
        const isKept = version?.account === session.account.id && version.firstReadAt === null;
        if (!isKept || toSeconds(version.modifiedAt) === modifiedAt) return;
        await setModifiedAt(tx, version.id, modifiedAt);
        await recordName(tx, session, place, 'file.times-set', version.id, { modifiedAt });
      });
      return {};
    },
  };
}
