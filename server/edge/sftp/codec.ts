// Owns: SFTP version 3 packets (draft-ietf-secsh-filexfer-02): parsing requests and encoding replies.
// Must never: trust a length that exceeds the packet.
import { CofferdamError, type SftpStatus, sftpStatus } from '../../domain/errors.ts';

export const type = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extendedReply: 201,
} as const;

const attributeFlag = { size: 1, owner: 2, permissions: 4, times: 8 } as const;

/** What a reader returns for each number that is too large for the offset or the size of a file, in bytes. */
export const beyondEveryFile = Number.MAX_SAFE_INTEGER;

/** Reads the fields of one packet. Its methods throw `malformed` when the packet is shorter than a field requires. */
export class FieldReader {
  readonly #bytes: Buffer;
  #at: number;
  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }
  get position(): number {
    return this.#at;
  }
  /** The length of the whole packet. */
  get bytes(): number {
    return this.#bytes.length;
  }
  #need(count: number): number {
    if (count > this.#bytes.length - this.#at) throw new CofferdamError('malformed', 'packet is too short');
    const at = this.#at;
    this.#at += count;
    return at;
  }
  uint32(): number {
    return this.#bytes.readUInt32BE(this.#need(4));
  }
  /**
   * Reads a 64-bit number; a larger one than 2^53 − 1 is returned as `beyondEveryFile`. No file is that
   * large, so a larger number is just as far beyond every end of file, window and size: the request
   * is answered like one for any other offset that does not exist, and the connection continues.
   */
  uint64(): number {
    const value = this.#bytes.readBigUInt64BE(this.#need(8));
    return value > BigInt(beyondEveryFile) ? beyondEveryFile : Number(value);
  }
  string(): Buffer {
    const length = this.uint32();
    const at = this.#need(length);
    return this.#bytes.subarray(at, at + length);
  }
}

/** What a client sent as ATTRS. Fields that are absent were not sent. */
type SentAttributes = { readonly size?: number; readonly permissions?: number; readonly modifiedAt?: number };

export function readAttributes(reader: FieldReader): SentAttributes {
  const flags = reader.uint32();
  const sent: { size?: number; permissions?: number; modifiedAt?: number } = {};
  if ((flags & attributeFlag.size) !== 0) sent.size = reader.uint64();
  if ((flags & attributeFlag.owner) !== 0) {
    reader.uint32();
    reader.uint32();
  }
  if ((flags & attributeFlag.permissions) !== 0) sent.permissions = reader.uint32();
  if ((flags & attributeFlag.times) !== 0) {
    reader.uint32();
    sent.modifiedAt = reader.uint32();
  }
  return sent;
}

/**
 * The attributes in a reply: size, permissions with the type bits,
 * and one time that is sent as both access and modification time.
 */
type ReplyAttributes = {
  readonly kind: 'directory' | 'file';
  readonly size: number;
  readonly permissions: number;
  readonly modifiedAt: number;
};

const attributesBytes = 4 + 8 + 8 + 4 + 8;

function writeAttributes(out: Buffer, at: number, attributes: ReplyAttributes): number {
  out.writeUInt32BE(attributeFlag.size | attributeFlag.owner | attributeFlag.permissions | attributeFlag.times, at);
  out.writeBigUInt64BE(BigInt(attributes.size), at + 4);
  // Users and groups of the host mean nothing to a client, so both are sent as 0.
  out.writeUInt32BE(0, at + 12);
  out.writeUInt32BE(0, at + 16);
  out.writeUInt32BE((attributes.kind === 'directory' ? 0o040000 : 0o100000) | attributes.permissions, at + 20);
  out.writeUInt32BE(attributes.modifiedAt, at + 24);
  out.writeUInt32BE(attributes.modifiedAt, at + 28);
  return at + attributesBytes;
}

function packet(packetType: number, id: number, bodyBytes: number): Buffer {
  const out = Buffer.allocUnsafe(9 + bodyBytes);
  out.writeUInt32BE(5 + bodyBytes, 0);
  out[4] = packetType;
  out.writeUInt32BE(id, 5);
  return out;
}

export function statusPacket(id: number, code: SftpStatus, text: string): Buffer {
  const message = Buffer.from(text, 'utf8');
  const out = packet(type.status, id, 4 + 4 + message.length + 4 + 2);
  out.writeUInt32BE(code, 9);
  out.writeUInt32BE(message.length, 13);
  message.copy(out, 17);
  out.writeUInt32BE(2, 17 + message.length);
  out.write('en', 21 + message.length, 'latin1');
  return out;
}

export const okPacket = (id: number): Buffer => statusPacket(id, sftpStatus.OK, '');

export function handlePacket(id: number, handle: Buffer): Buffer {
  const out = packet(type.handle, id, 4 + handle.length);
  out.writeUInt32BE(handle.length, 9);
  handle.copy(out, 13);
  return out;
}

/** Returns everything of a DATA reply except the data, which is sent after it without being copied. */
export function dataHeader(id: number, bytes: number): Buffer {
  const out = Buffer.allocUnsafe(13);
  out.writeUInt32BE(9 + bytes, 0);
  out[4] = type.data;
  out.writeUInt32BE(id, 5);
  out.writeUInt32BE(bytes, 9);
  return out;
}

export function attributesPacket(id: number, attributes: ReplyAttributes): Buffer {
  const out = packet(type.attrs, id, attributesBytes);
  writeAttributes(out, 9, attributes);
  return out;
}

export type NameEntry = {
  readonly name: string;
  readonly longName: string;
  readonly attributes: ReplyAttributes | null;
};

export function namePacket(id: number, entries: readonly NameEntry[]): Buffer {
  const encoded = entries.map((entry) => ({
    name: Buffer.from(entry.name, 'utf8'),
    long: Buffer.from(entry.longName, 'utf8'),
    attributes: entry.attributes,
  }));
  const body = encoded.reduce(
    (sum, one) => sum + 8 + one.name.length + one.long.length + (one.attributes === null ? 4 : attributesBytes),
    4,
  );
  const out = packet(type.name, id, body);
  out.writeUInt32BE(entries.length, 9);
  let at = 13;
  for (const { name, long, attributes } of encoded) {
    for (const text of [name, long]) {
      out.writeUInt32BE(text.length, at);
      text.copy(out, at + 4);
      at += 4 + text.length;
    }
    if (attributes === null) at = out.writeUInt32BE(0, at);
    else at = writeAttributes(out, at, attributes);
  }
  return out;
}

/** Returns the VERSION 3 packet with the extensions that this server supports, as pairs of name and data. */
export function versionPacket(extensions: readonly (readonly [string, string])[]): Buffer {
  const texts = extensions.flat().map((text) => Buffer.from(text, 'latin1'));
  const body = Buffer.concat([Buffer.of(type.version, 0, 0, 0, 3), ...texts.flatMap((text) => [lengthOf(text), text])]);
  return Buffer.concat([lengthOf(body), body]);
}

function lengthOf(bytes: Buffer): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(bytes.length);
  return out;
}

/**
 * Returns the answer to limits@openssh.com: the largest packet,
 * read and write in bytes, and the largest number of open handles.
 */
export function limitsPacket(
  id: number,
  limits: { readonly packet: number; readonly read: number; readonly write: number; readonly handles: number },
): Buffer {
  const out = packet(type.extendedReply, id, 32);
  out.writeBigUInt64BE(BigInt(limits.packet), 9);
  out.writeBigUInt64BE(BigInt(limits.read), 17);
  out.writeBigUInt64BE(BigInt(limits.write), 25);
  out.writeBigUInt64BE(BigInt(limits.handles), 33);
  return out;
}

/** What a file system would say of itself. `blockBytes` is the unit of `blocks` and `freeBlocks`. */
type FileSystem = {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly isWritable: boolean;
  readonly nameBytesMax: number;
};
/** SSH_FXE_STATVFS_ST_RDONLY and SSH_FXE_STATVFS_ST_NOSUID (OpenSSH's PROTOCOL, section 4.4). */
const [readOnlyFlag, noSetUidFlag] = [1, 2];

/** Returns the answer to statvfs@openssh.com: eleven numbers of 64 bits, in the order of `struct statvfs`. */
export function statvfsPacket(
  id: number,
  { blockBytes, blocks, freeBlocks, files, freeFiles, isWritable, nameBytesMax }: FileSystem,
): Buffer {
  const flags = noSetUidFlag + (isWritable ? 0 : readOnlyFlag);
  const numbers = [
    blockBytes,
    blockBytes,
    blocks,
    freeBlocks,
    freeBlocks,
    files,
    freeFiles,
    freeFiles,
    0,
    flags,
    nameBytesMax,
  ];
  const out = packet(type.extendedReply, id, numbers.length * 8);
  for (const [i, number] of numbers.entries()) out.writeBigUInt64BE(BigInt(number), 9 + i * 8);
  return out;
}
