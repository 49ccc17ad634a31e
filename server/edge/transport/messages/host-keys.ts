// Owns: the host keys in a global request (`hostkeys-00@openssh.com`, `hostkeys-prove-00@openssh.com`) and the proofs
// in its answer: strings one after the other (OpenSSH's PROTOCOL, section 3).
import { concatBytes, WireReader, wireString } from '../../../domain/ssh-wire.ts';

const blobsMax = 16;

export const hostKeys = {
  announce: 'hostkeys-00@openssh.com',
  prove: 'hostkeys-prove-00@openssh.com',
  /** Throws on a malformed list, and on more than 16 of them. */
  read(data: Uint8Array): readonly Uint8Array[] {
    const reader = new WireReader(data);
    const blobs: Uint8Array[] = [];
    while (!reader.isAtEnd) {
      blobs.push(reader.string());
      if (blobs.length > blobsMax) throw new Error('too many host keys to prove');
    }
    return blobs;
  },
  write: (blobs: readonly Uint8Array[]): Uint8Array => concatBytes(blobs.map((blob) => wireString(blob))),
} as const;
