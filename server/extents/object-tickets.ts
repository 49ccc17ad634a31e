// Owns: the two statements by which bytes reach the store without the process that carries them being believed: the
// ticket, by which the warden lets one edge put one object, and the acknowledgement, by which the store says that this
// object is durable. Both are MACs under a key that only the wardens and the store have; the edge carries them.
// Must never: accept a statement about another object, another node, another kind, or with another length.
// Form: every integer is big-endian. A ticket is object (16) ‖ most sealed bytes (u32) ‖ end (u48, milliseconds since
// 1970) ‖ MAC (32). The node is not written down: each node has a socket of its own, and the MAC covers the name.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type NodeName, type ObjectId } from '../domain/ids.ts';
import { objectPart } from '../domain/path-parts.ts';
import { tagBytes } from './in-place.ts';
import { headerBytes, segmentBytes } from './sealed-format.ts';

/** What a node may put: this object, at most so many bytes, until this instant (milliseconds since 1970). */
export type Ticket = {
  readonly node: NodeName;
  readonly object: ObjectId;
  readonly bytesMax: number;
  readonly until: number;
};
/** What the store has made durable. `digest` (32 bytes) is `sealedDigest` of the object. */
type Durable = {
  readonly node: NodeName;
  readonly object: ObjectId;
  readonly bytes: number;
  readonly digest: Buffer;
};

const objectBytes = 16;
const fieldBytes = objectBytes + 4 + 6;
const macBytes = 32;
export const ticketBytes = fieldBytes + macBytes;

const objectText = (object: ObjectId): Buffer => Buffer.from(objectPart(object), 'hex');

function mac(key: Buffer, kind: 'put' | 'durable', node: NodeName, ...fields: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', key).update(`${kind}\n${Buffer.byteLength(node)}:${node}\n`);
  for (const field of fields) hmac.update(field);
  return hmac.digest();
}

const isSame = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** Returns the ticket, 58 bytes. */
export function issueTicket(key: Buffer, { node, object, bytesMax, until }: Ticket): Buffer {
  const fields = Buffer.alloc(fieldBytes);
  objectText(object).copy(fields);
  fields.writeUInt32BE(bytesMax, objectBytes);
  fields.writeUIntBE(until, objectBytes + 4, 6);
  return Buffer.concat([fields, mac(key, 'put', node, fields)]);
}

/**
 * Reads a ticket that came from this node. `keys` are those that count; one of them must have issued it, and is
 * returned with it: whoever issued the ticket believes only what is acknowledged with the same key. Throws `denied`
 * when none has, or when its time is over.
 */
export function readTicket(
  keys: readonly Buffer[],
  node: NodeName,
  bytes: Buffer,
  now: number,
): { readonly ticket: Ticket; readonly key: Buffer } {
  const fields = bytes.subarray(0, fieldBytes);
  const given = bytes.subarray(fieldBytes);
  const key = keys.find((one) => isSame(given, mac(one, 'put', node, fields)));
  if (bytes.length !== ticketBytes || key === undefined)
    throw new CofferdamError('denied', 'this ticket was not issued to this node');
  const until = fields.readUIntBE(objectBytes + 4, 6);
  if (until <= now) throw new CofferdamError('denied', 'the time of this ticket is over');
  const object = idOf<ObjectId>(fields.toString('hex', 0, objectBytes));
  return { ticket: { node, object, bytesMax: fields.readUInt32BE(objectBytes), until }, key };
}

const durableFields = ({ object, bytes, digest }: Durable): Buffer => {
  const fields = Buffer.alloc(objectBytes + 4);
  objectText(object).copy(fields);
  fields.writeUInt32BE(bytes, objectBytes);
  return Buffer.concat([fields, digest]);
};

/** Returns the acknowledgement, 32 bytes. */
export const acknowledge = (key: Buffer, durable: Durable): Buffer =>
  mac(key, 'durable', durable.node, durableFields(durable));

/** Returns whether the store has said this. */
export const isAcknowledged = (key: Buffer, durable: Durable, acknowledgement: Buffer): boolean =>
  durable.digest.length === macBytes && isSame(acknowledgement, acknowledge(key, durable));

/**
 * The digest by which receipts name a sealed extent: SHA-256 over its header and the tags of its segments, in their
 * order. A tag depends on every byte of its segment. Whoever has the key of an extent could make another segment with
 * the same tag; that an object is never written twice is ensured by the store, and what a file contained is said by the
 * SHA-256 of its plaintext.
 */
export class SealedDigest {
  readonly #hash = createHash('sha256');
  #isFirst = true;

  /** Takes the next `bytes.length` bytes of the object: one whole segment, the first with the header before it. */
  add(bytes: Uint8Array): void {
    if (bytes.length > segmentBytes || bytes.length < tagBytes + (this.#isFirst ? headerBytes : 0))
      throw new RangeError('this is no sealed segment');
    if (this.#isFirst) this.#hash.update(bytes.subarray(0, headerBytes));
    this.#isFirst = false;
    this.#hash.update(bytes.subarray(bytes.length - tagBytes));
  }

  /** Returns the digest, 32 bytes. Nothing may be added afterwards. */
  end(): Buffer {
    return this.#hash.digest();
  }
}

/** Returns the digest of an extent that is whole in memory. */
export function sealedDigest(sealed: Uint8Array): Buffer {
  const digest = new SealedDigest();
  for (let at = 0; at < sealed.length; at += segmentBytes) digest.add(sealed.subarray(at, at + segmentBytes));
  return digest.end();
}
