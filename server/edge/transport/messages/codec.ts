// Owns: what all SSH messages have in common: a number, a reader and a writer, and the bounds of what a client may send
// in one field.
// Must never: know what a message means.
import { WireReader, wireUint32 } from '../../../domain/ssh-wire.ts';

/**
 * One message. `read` takes a whole payload, beginning with the number, and throws when it has not the form of the RFC.
 * `write` returns a payload in parts, so that data is not copied.
 */
export type Codec<T> = {
  readonly number: number;
  read(payload: Uint8Array): T;
  write(message: T): readonly Uint8Array[];
};

export const numberOf = (number: number): Uint8Array => Uint8Array.of(number);

/** Returns a reader that stands after the number of the message. */
export const fieldsOf = (payload: Uint8Array): WireReader => new WireReader(payload.subarray(1));

/** A message that has nothing but its number. */
export const bare = (number: number): Codec<Record<never, never>> => ({
  number,
  read: (payload) => {
    fieldsOf(payload).end();
    return {};
  },
  write: () => [numberOf(number)],
});

type AboutChannel = { readonly recipient: number };
/** A message that names a channel of its recipient and says nothing else. */
export const aboutChannel = (number: number): Codec<AboutChannel> => ({
  number,
  read: (payload) => ({ recipient: fieldsOf(payload).uint32() }),
  write: ({ recipient }) => [numberOf(number), wireUint32(recipient)],
});

const textBytesMax = 256;
const blobBytesMax = 16_384;

/** Reads UTF-8. Throws when it is none, and when it is longer than 256 bytes. */
export function textIn(reader: WireReader): string {
  const bytes = reader.string();
  if (bytes.length > textBytesMax) throw new Error('a field is too long');
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

/** Reads a copy of a field of bytes. Throws when it is longer than 16 KiB. */
export function blobIn(reader: WireReader): Buffer {
  const bytes = reader.string();
  if (bytes.length > blobBytesMax) throw new Error('a field is too long');
  return Buffer.from(bytes);
}
