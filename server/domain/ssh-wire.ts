// Owns: some data types of RFC 4251 section 5, parsed strictly and with bounds; base64, and concatenation.
// Must never: allocate memory by a length that exceeds the buffer.
import { CofferdamError } from './errors.ts';

/**
 * Reads booleans, integers and strings one after the other. Throws `invalid` when bytes are missing; `end()` throws
 * `invalid` when bytes are left over.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  #position = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  bool(): boolean {
    return this.#take(1)[0] !== 0;
  }
  uint32(): number {
    const at = this.#take(4);
    return new DataView(at.buffer, at.byteOffset, 4).getUint32(0);
  }
  string(): Uint8Array {
    return this.#take(this.uint32());
  }
  /** Returns a string with one character for each byte. Only for fields that are ASCII. */
  text(): string {
    return String.fromCharCode(...this.string());
  }
  /** Returns everything that was not read yet. */
  rest(): Uint8Array {
    return this.#take(this.#bytes.length - this.#position);
  }
  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }
  end(): void {
    if (!this.isAtEnd) throw new CofferdamError('invalid', 'unexpected bytes at the end');
  }
  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#position)
      throw new CofferdamError('invalid', 'the value ends before its last byte');
    const taken = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return taken;
  }
}

/** Returns a `string` of the protocol: its length as 4 bytes, then its bytes. A text is encoded as UTF-8. */
export function wireString(value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  const out = new Uint8Array(4 + bytes.length);
  new DataView(out.buffer).setUint32(0, bytes.length);
  out.set(bytes, 4);
  return out;
}

/** Returns a `uint32`: four bytes, the highest first. */
export function wireUint32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

export const wireBool = (value: boolean): Uint8Array => Uint8Array.of(value ? 1 : 0);

/**
 * Returns the bytes of a base64 text with padding. Throws `invalid` for a length or a character that no encoder writes.
 */
export function bytesOfBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new CofferdamError('invalid', 'this is not base64');
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
