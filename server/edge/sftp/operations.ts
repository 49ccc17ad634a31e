// Owns: the one table of what an SFTP client may ask: packet type or extension, name, whether it changes anything, handler.
// Everything that is not in this table is answered OP_UNSUPPORTED.
import { CofferdamError, sftpStatus } from '../../domain/errors.ts';
import { formatPath, parsePath, type VirtualPath } from '../../domain/paths.ts';
import type { Attributes } from '../../rpc/edge-warden.ts';
import {
  attributesPacket,
  type FieldReader,
  handlePacket,
  limitsPacket,
  type NameEntry,
  namePacket,
  okPacket,
  readAttributes,
  statusPacket,
  type,
} from './codec.ts';
import { Download } from './download.ts';
import type { Handles } from './handles.ts';
import { Upload, type UploadContext } from './upload.ts';

/** READ and WRITE have a path of their own in session.ts. */
export const dataBytesMax = 261_120;
const namesPerReply = 100;

export type OperationContext = UploadContext & { readonly handles: Handles };
type Handler = (context: OperationContext, id: number, fields: FieldReader) => Promise<Buffer>;
export type Operation = { readonly name: string; readonly changes: boolean; readonly run: Handler };

/** SSH_FXF_* */
const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

function pathOf(fields: FieldReader): VirtualPath {
  return parsePath(fields.string());
}

async function stat(context: OperationContext, path: VirtualPath): Promise<Attributes> {
  return context.warden.callRepeatable('tree.stat', { token: context.session.token, path: [...path] });
}

async function open(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const path = pathOf(fields);
  const flags = fields.uint32();
  const sent = readAttributes(fields);
  const wants = (flag: number): boolean => (flags & flag) !== 0;
  context.handles.requireRoom();
  if (wants(openFlag.read) && wants(openFlag.write))
    throw new CofferdamError('unsupported', 'files are opened either for reading or for writing');
  if (wants(openFlag.write) || wants(openFlag.append)) {
    const upload = await Upload.open(context, path, {
      continue: !wants(openFlag.truncate),
      exclusive: wants(openFlag.exclusive) && wants(openFlag.create),
      appends: wants(openFlag.append),
    });
    upload.modifiedAt = sent.modifiedAt;
    return handlePacket(id, context.handles.add({ kind: 'upload', upload }));
  }
  return handlePacket(id, context.handles.add({ kind: 'download', download: await Download.open(context, path) }));
}

async function close(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const handle = context.handles.take(fields.string());
  if (handle.kind === 'upload') await handle.upload.close();
  if (handle.kind === 'download') await handle.download.close('client');
  return okPacket(id);
}

async function fstat(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const handle = context.handles.get(fields.string());
  if (handle.kind === 'directory') return attributesPacket(id, await stat(context, handle.path));
  const attributes =
    handle.kind === 'upload'
      ? { size: handle.upload.size, modifiedAt: handle.upload.modifiedAt ?? Math.floor(Date.now() / 1000) }
      : { size: handle.download.size, modifiedAt: handle.download.modifiedAt };
  return attributesPacket(id, { kind: 'file', permissions: 0o640, ...attributes });
}

/**
 * Times are kept; modes and owners are accepted and mean nothing here; a size by name may only be confirmed. Which handle a name means is not known here:
 * another session may have renamed the file.
 */
async function setstat(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const path = pathOf(fields);
  const sent = readAttributes(fields);
  const current = await stat(context, path);
  if (sent.size !== undefined && sent.size !== current.size)
    throw new CofferdamError('unsupported', 'files are not cut or extended; write them from start to end');
  if (sent.modifiedAt !== undefined && current.kind === 'file')
    await context.warden.call('tree.set-times', { token: context.session.token, path: [...path], modifiedAt: sent.modifiedAt });
  return okPacket(id);
}

async function fsetstat(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const handle = context.handles.get(fields.string());
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
  const path = pathOf(fields);
  context.handles.requireRoom();
  const attributes = await stat(context, path);
  if (attributes.kind !== 'directory') throw new CofferdamError('not-found', 'no such directory');
  return handlePacket(id, context.handles.add({ kind: 'directory', path, after: undefined, isStarted: false, isDone: false }));
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** One line as `ls -l` shows it; owner and group say nothing about the host. */
export function longName(name: string, attributes: Attributes, now: Date): string {
  const letters =
    (attributes.kind === 'directory' ? 'd' : '-') +
    [8, 7, 6, 5, 4, 3, 2, 1, 0].map((bit) => ((attributes.permissions >> bit) & 1 ? ('rwx'[(8 - bit) % 3] ?? '-') : '-')).join('');
  const date = new Date(attributes.modifiedAt * 1000);
  const isRecent = Math.abs(now.getTime() - date.getTime()) < 182 * 86_400_000;
  const two = (value: number): string => String(value).padStart(2, '0');
  const when = `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${isRecent ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}` : ` ${date.getUTCFullYear()}`}`;
  return `${letters}   1 gateway  gateway  ${String(attributes.size).padStart(12)} ${when} ${name}`;
}

async function readdir(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const handle = context.handles.get(fields.string());
  if (handle.kind !== 'directory') throw new CofferdamError('denied', 'not a directory');
  if (handle.isDone) return statusPacket(id, sftpStatus.EOF, 'end of list');
  const { token } = context.session;
  const page = await context.warden.callRepeatable('tree.list', {
    token,
    path: [...handle.path],
    limit: namesPerReply,
    ...(handle.after === undefined ? {} : { after: handle.after }),
  });
  const now = new Date();
  const listed: NameEntry[] = page.entries.map((entry) => ({
    name: entry.name,
    longName: longName(entry.name, entry.attributes, now),
    attributes: entry.attributes,
  }));
  const dots: NameEntry[] = [];
  if (!handle.isStarted) {
    const self = await stat(context, handle.path);
    dots.push(...['.', '..'].map((name) => ({ name, longName: longName(name, self, now), attributes: self })));
  }
  handle.isStarted = true;
  handle.after = page.next;
  handle.isDone = page.next === undefined;
  return namePacket(id, [...dots, ...listed]);
}

async function realpath(_context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  const text = formatPath(pathOf(fields));
  return namePacket(id, [{ name: text, longName: text, attributes: null }]);
}

async function statPath(context: OperationContext, id: number, fields: FieldReader): Promise<Buffer> {
  return attributesPacket(id, await stat(context, pathOf(fields)));
}

function rename(replace: boolean): Handler {
  return async (context, id, fields) => {
    const from = pathOf(fields);
    const to = pathOf(fields);
    await context.warden.call('tree.rename', { token: context.session.token, from: [...from], to: [...to], replace });
    return okPacket(id);
  };
}

function onPath(op: 'tree.remove' | 'tree.make-directory' | 'tree.remove-directory'): Handler {
  return async (context, id, fields) => {
    await context.warden.call(op, { token: context.session.token, path: [...pathOf(fields)] });
    return okPacket(id);
  };
}

export const operations: Readonly<Record<number, Operation>> = {
  [type.open]: { name: 'open', changes: true, run: open },
  [type.close]: { name: 'close', changes: true, run: close },
  [type.lstat]: { name: 'lstat', changes: false, run: statPath },
  [type.stat]: { name: 'stat', changes: false, run: statPath },
  [type.fstat]: { name: 'fstat', changes: false, run: fstat },
  [type.setstat]: { name: 'setstat', changes: true, run: setstat },
  [type.fsetstat]: { name: 'fsetstat', changes: true, run: fsetstat },
  [type.opendir]: { name: 'opendir', changes: false, run: opendir },
  [type.readdir]: { name: 'readdir', changes: false, run: readdir },
  [type.remove]: { name: 'remove', changes: true, run: onPath('tree.remove') },
  [type.mkdir]: { name: 'mkdir', changes: true, run: onPath('tree.make-directory') },
  [type.rmdir]: { name: 'rmdir', changes: true, run: onPath('tree.remove-directory') },
  [type.realpath]: { name: 'realpath', changes: false, run: realpath },
  [type.rename]: { name: 'rename', changes: true, run: rename(false) },
};

export const extensions: Readonly<Record<string, Operation & { readonly version: string }>> = {
  'posix-rename@openssh.com': { name: 'posix-rename', version: '1', changes: true, run: rename(true) },
  'fsync@openssh.com': {
    name: 'fsync',
    version: '1',
    changes: true,
    run: async (context, id, fields) => {
      const handle = context.handles.get(fields.string());
      if (handle.kind !== 'upload') throw new CofferdamError('denied', 'the file is open for reading only');
      await handle.upload.sync();
      return okPacket(id);
    },
  },
  'limits@openssh.com': {
    name: 'limits',
    version: '1',
    changes: false,
    run: async (context, id) =>
      limitsPacket(id, {
        packet: 256 * 1024,
        read: dataBytesMax,
        write: dataBytesMax,
        handles: context.node.config.limits.handlesPerSessionMax,
      }),
  },
};
