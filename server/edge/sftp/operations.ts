// Owns: the one table of what an SFTP client may ask: packet type or extension, name,
// whether it changes anything, and handler. READ and WRITE are handled in session.ts.
// Every other request that is not in this table is answered with OP_UNSUPPORTED.
import { CofferdamError, sftpStatus } from '../../domain/errors.ts';
import { formatPath, maxNameBytes, parsePath, type VirtualPath } from '../../domain/paths.ts';
import type { Found } from '../../rpc/edge-warden.ts';
import {
  attributesPacket,
  type FieldReader,
  handlePacket,
  limitsPacket,
  namePacket,
  okPacket,
  readAttributes,
  statusPacket,
  statvfsPacket,
  type,
} from './codec.ts';
import { Download } from './download.ts';
import type { Handle, Handles } from './handles.ts';
import { Listing, type PagePlaces } from './listing.ts';
import { openForWriting } from './small-upload.ts';
import { type PathUse, usedFor } from './statuses.ts';
import { Upload, type UploadContext } from './upload.ts';

/** The largest number of data bytes in one READ or WRITE. These two requests are handled in session.ts. */
export const dataBytesMax = 261_120;

export type OperationContext = UploadContext & { readonly handles: Handles; readonly pages: PagePlaces };
type Handler = (context: OperationContext, id: number, fields: FieldReader) => Promise<Buffer>;
/** Handles a request on a handle. `fields` begins after the handle, which was looked up when the request came. */
type HandleHandler = (context: OperationContext, id: number, handle: Handle, fields: FieldReader) => Promise<Buffer>;
type Named = { readonly name: string; readonly changes: boolean };
/** An operation on a handle. `ends` means that later requests find the handle closed. */
export type HandleOperation = Named & { readonly on: 'handle'; readonly ends: boolean; readonly run: HandleHandler };
export type Operation = (Named & { readonly on: 'names'; readonly run: Handler }) | HandleOperation;

/** The SSH_FXF_* bits of OPEN. */
const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

function pathOf({ session }: OperationContext, fields: FieldReader, use: PathUse): VirtualPath {
  const bytes = fields.string();
  return usedFor(use, () => parsePath(bytes, session.start));
}

/** Returns the attributes of what is at a path, and whether somebody of this account writes it now. */
async function stat(context: OperationContext, path: VirtualPath): Promise<Found> {
  return context.warden.callRepeatable('tree.stat', { token: context.session.token, path: [...path] });
}

async function open(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const name = fields.string();
  const flags = fields.uint32();
  const sent = readAttributes(fields);
  const wants = (flag: number): boolean => (flags & flag) !== 0;
  const writes = wants(openFlag.write) || wants(openFlag.append);
  const path = usedFor(writes && wants(openFlag.create) ? 'make' : 'look-up', () =>
    parsePath(name, context.session.start),
  );
  context.handles.requireRoom();
  // Whoever also asks for reading gets a handle for writing: most clients that do so never read (decision 63).
  if (writes) {
    const upload = await openForWriting(context, path, {
      continue: !wants(openFlag.truncate),
      exclusive: wants(openFlag.exclusive) && wants(openFlag.create),
      mustExist: !wants(openFlag.create),
      appends: wants(openFlag.append),
    });
    upload.modifiedAt = sent.modifiedAt;
    return handlePacket(id, context.handles.add({ kind: 'upload', upload }));
  }
  return handlePacket(id, context.handles.add({ kind: 'download', download: await Download.open(context, path) }));
}

async function close(_context: OperationContext, id: number, handle: Handle): Promise<Buffer> {
  if (handle.kind === 'upload') await handle.upload.close();
  if (handle.kind === 'download') await handle.download.close('client');
  if (handle.kind === 'directory') handle.listing.end();
  return okPacket(id);
}

async function fstat(context: OperationContext, id: number, handle: Handle): Promise<Buffer> {
  if (handle.kind === 'directory') return attributesPacket(id, await stat(context, handle.path));
  const attributes =
    handle.kind === 'upload'
      ? { size: handle.upload.size, modifiedAt: handle.upload.modifiedAt ?? Math.floor(Date.now() / 1000) }
      : { size: handle.download.size, modifiedAt: handle.download.modifiedAt };
  return attributesPacket(id, { kind: 'file', permissions: 0o640, ...attributes });
}

/**
 * Handles a size that is set by name. The warden says which upload has the name now, because another session may have
 * renamed the file. When it is open on a channel of this session, the size counts as one that is set on its handle.
 * When somebody else has it open, no size is answered with OK, because what that one writes decides it. When nobody
 * has it open, a size of 0 begins the file anew: nothing of it is delivered until it is written. Any other size must
 * be the current one.
 */
async function resize(context: OperationContext, path: VirtualPath, current: Found, bytes: number): Promise<void> {
  const { writing, kind, size } = current;
  const upload = writing?.upload === undefined ? undefined : context.handles.findUpload(writing.upload);
  if (upload !== undefined) return upload.resize(bytes);
  if (writing !== undefined) throw new CofferdamError('conflict', 'the file is open in another session');
  if (bytes === size) return;
  if (kind !== 'file') throw new CofferdamError('conflict', 'this is a directory');
  if (bytes !== 0)
    throw new CofferdamError('unsupported', "a file's size cannot be changed; write the file from start to end");
  const anew = await Upload.open(context, path, { continue: false, exclusive: false, mustExist: true, appends: false });
  await anew.interrupt();
}

/** Handles SETSTAT. Times are kept; modes and owners are accepted and have no effect. */
async function setstat(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const path = pathOf(context, fields, 'look-up');
  const sent = readAttributes(fields);
  const current = await stat(context, path);
  if (sent.size !== undefined) await resize(context, path, current, sent.size);
  if (sent.modifiedAt !== undefined && current.kind === 'file')
    await context.warden.call('tree.set-times', {
      token: context.session.token,
      path: [...path],
      modifiedAt: sent.modifiedAt,
    });
  return okPacket(id);
}

async function fsetstat(_context: OperationContext, id: number, handle: Handle, fields: FieldReader): Promise<Buffer> {
  if (handle.kind !== 'upload') throw new CofferdamError('denied', 'the file is open for reading only');
  try {
    const sent = readAttributes(fields);
    if (sent.size !== undefined) handle.upload.resize(sent.size);
    handle.upload.modifiedAt = sent.modifiedAt ?? handle.upload.modifiedAt;
  } catch (error) {
    handle.upload.refuse(error);
    throw error;
  }
  return okPacket(id);
}

async function opendir(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const path = pathOf(context, fields, 'look-up');
  context.handles.requireRoom();
  const attributes = await stat(context, path);
  if (attributes.kind !== 'directory') throw new CofferdamError('conflict', 'this is not a directory');
  const listing = new Listing(context.pages, {
    page: (after, limit) =>
      context.warden.callRepeatable('tree.list', {
        token: context.session.token,
        path: [...path],
        limit,
        ...(after === undefined ? {} : { after }),
      }),
    self: () => stat(context, path),
  });
  return handlePacket(id, context.handles.add({ kind: 'directory', path, listing }));
}

async function readdir(_context: OperationContext, id: number, handle: Handle): Promise<Buffer> {
  if (handle.kind !== 'directory') throw new CofferdamError('conflict', 'this is not a directory');
  const names = await handle.listing.next();
  return names.length === 0 ? statusPacket(id, sftpStatus.EOF, 'end of list') : namePacket(id, names);
}

async function realpath(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const text = formatPath(pathOf(context, fields, 'look-up'));
  return namePacket(id, [{ name: text, longName: text, attributes: null }]);
}

async function statPath(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  return attributesPacket(id, await stat(context, pathOf(context, fields, 'look-up')));
}

function rename(replace: boolean): Handler {
  return async (context, id, fields) => {
    const from = pathOf(context, fields, 'look-up');
    const to = pathOf(context, fields, 'make');
    await context.warden.call('tree.rename', { token: context.session.token, from: [...from], to: [...to], replace });
    return okPacket(id);
  };
}

function onPath(op: 'tree.remove' | 'tree.make-directory' | 'tree.remove-directory', use: PathUse): Handler {
  return async (context, id, fields) => {
    await context.warden.call(op, { token: context.session.token, path: [...pathOf(context, fields, use)] });
    return okPacket(id);
  };
}

async function fsync(_context: OperationContext, id: number, handle: Handle): Promise<Buffer> {
  if (handle.kind !== 'upload') throw new CofferdamError('denied', 'the file is open for reading only');
  await handle.upload.sync();
  return okPacket(id);
}

async function limits(context: OperationContext, id: number): Promise<Buffer> {
  const handles = context.node.limits.handlesPerSessionMax;
  return limitsPacket(id, { packet: 256 * 1024, read: dataBytesMax, write: dataBytesMax, handles });
}

/** The unit in which space is told, in bytes. Clients multiply; what is left of a unit is not told. */
const blockBytes = 4096;

/**
 * Tells the budget of the session as if it were a file system, so that clients that look for space first find the
 * truth.
 */
async function statvfs(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const path = pathOf(context, fields, 'look-up');
  const space = await context.warden.callRepeatable('tree.space', { token: context.session.token, path: [...path] });
  return statvfsPacket(id, {
    blockBytes,
    blocks: Math.floor(space.capBytes / blockBytes),
    freeBlocks: Math.floor(space.freeBytes / blockBytes),
    files: space.capFiles,
    freeFiles: space.freeFiles,
    isWritable: space.isWritable,
    nameBytesMax: maxNameBytes,
  });
}

const onNames = (name: string, changes: boolean, run: Handler) => ({ on: 'names', name, changes, run }) as const;
const onHandle = (name: string, changes: boolean, run: HandleHandler, ends = false) =>
  ({ on: 'handle', name, changes, ends, run }) as const;

export const operations: Readonly<Record<number, Operation>> = {
  [type.open]: onNames('open', true, open),
  [type.close]: onHandle('close', true, close, true),
  [type.lstat]: onNames('lstat', false, statPath),
  [type.stat]: onNames('stat', false, statPath),
  [type.fstat]: onHandle('fstat', false, fstat),
  [type.setstat]: onNames('setstat', true, setstat),
  [type.fsetstat]: onHandle('fsetstat', true, fsetstat),
  [type.opendir]: onNames('opendir', false, opendir),
  [type.readdir]: onHandle('readdir', false, readdir),
  [type.remove]: onNames('remove', true, onPath('tree.remove', 'look-up')),
  [type.mkdir]: onNames('mkdir', true, onPath('tree.make-directory', 'make')),
  [type.rmdir]: onNames('rmdir', true, onPath('tree.remove-directory', 'look-up')),
  [type.realpath]: onNames('realpath', false, realpath),
  [type.rename]: onNames('rename', true, rename(false)),
};

export const extensions: Readonly<Record<string, Operation & { readonly version: string }>> = {
  'posix-rename@openssh.com': { ...onNames('posix-rename', true, rename(true)), version: '1' },
  'fsync@openssh.com': { ...onHandle('fsync', true, fsync), version: '1' },
  'statvfs@openssh.com': { ...onNames('statvfs', false, statvfs), version: '2' },
  'limits@openssh.com': { ...onNames('limits', false, limits), version: '1' },
};
