// Owns: the port to the store of sealed objects: what every adapter promises. `test/extents/conformance.ts` is these
// promises as one test, which every adapter passes, except that objects are durable: each adapter has a test of its own
// for that.
// Must never: say anything about directories, sockets or networks, which belong to the adapters.
import type { ObjectId } from '../domain/ids.ts';

/**
 * One object that is being written. Pieces are given in the order of the object, all of one size except the last, and
 * may be under way side by side. After a rejected `finish` nothing of the object remains (unless it `isNamed`), and
 * after a rejected `write` nothing once `abort` has resolved.
 */
export type ObjectWriter = {
  /**
   * Writes the next piece: the first `bytes` bytes of `memory`, which came from the adapter's `memory` and may not be
   * changed until this resolves. Rejects with `over-limit` when the store is full.
   */
  write(memory: Buffer, bytes: number): Promise<void>;
  /**
   * Publishes the object as a whole. When this resolves, the object and its name are durable. Rejects with `conflict`
   * when an object of this name exists, which then stays as it is.
   */
  finish(): Promise<void>;
  /**
   * True when the object has its name. After a rejected `finish` it may have it, because a store that fails may not let
   * it be removed: then it takes space until it is deleted.
   */
  readonly isNamed: boolean;
  abort(): Promise<void>;
};

/**
 * An entry of the store as it is found. Each character of `name` is one byte (latin1): whoever may write there chooses
 * the bytes, and bytes that are no UTF-8 would become a name under which nothing is found. `bytes` is the space that it
 * takes on the volume, whatever its length is. Only a `file` can be an object; none of our programs creates anything
 * else there.
 */
export type Found = {
  readonly name: string;
  readonly kind: 'file' | 'other';
  readonly ageMs: number;
  readonly bytes: number;
};
/**
 * A part of a listing, in the order of the names. `next` is the name after which the next part begins; null at the end.
 * `fault` is the error code when the entries could not be listed. What does not exist is empty.
 */
export type Listing = { readonly found: readonly Found[]; readonly next: string | null; readonly fault: string | null };
/** A part of the names: one of the 256 groups of objects (two hexadecimal digits), or what is not published yet. */
export type NameRange = { readonly prefix: string } | 'unfinished';

export type ObjectStore = {
  /**
   * Returns memory for pieces of `bytes` bytes, with room for the adapter after them. It may be used again for other
   * pieces, and is given back by forgetting it.
   */
  memory(bytes: number): Buffer;
  /** Begins a new object. Nothing can be read under its name before `finish` has resolved. */
  begin(object: ObjectId): ObjectWriter;
  /**
   * Reads up to `into.length` bytes of an object from `offset` on, fewer at its end. Returns them, a part of `into`.
   * Rejects with `corrupt` when there is no such object.
   */
  read(object: ObjectId, offset: number, into: Buffer): Promise<Buffer>;
  /** Returns the length of an object in bytes; undefined when there is none. */
  exists(object: ObjectId): Promise<number | undefined>;
  /** Deletes an object. That it does not exist is a success. */
  delete(object: ObjectId): Promise<void>;
  /** Lists up to `max` entries of a range of names after the name `after`. */
  list(range: NameRange, after: string | null, max: number): Promise<Listing>;
  /** Removes what was listed and is no object, or was never finished: a file of any kind, or an empty directory. */
  remove(range: NameRange, name: string): Promise<void>;
  /** Returns the number of bytes that may still be stored. */
  freeBytes(): Promise<number>;
};
