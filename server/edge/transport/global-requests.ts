// Owns: global requests. All are refused except one: a client that was told our host keys, including those of
// the next rotation, may ask once in a connection for proofs that we have them (OpenSSH's PROTOCOL, section 3).

import { detach } from '../../domain/detached.ts';
import { WireReader, wireString } from '../../domain/ssh-wire.ts';
import { number } from './messages.ts';

const keysMax = 16;

/** Returns the message that tells a client our host keys; `blobs` are their public halves in base64. */
export const announcement = (blobs: readonly string[]): readonly Uint8Array[] => [
  Uint8Array.of(number.globalRequest),
  wireString('hostkeys-00@openssh.com'),
  Uint8Array.of(0),
  ...blobs.map((blob) => wireString(Buffer.from(blob, 'base64'))),
];

/**
 * Returns the keys of which a client wants proofs, in base64; undefined when this is
 * another global request. Throws on a malformed request, and on more than `keysMax` keys.
 */
function keysToProve(payload: Buffer): readonly string[] | undefined {
  const reader = new WireReader(payload.subarray(1));
  if (reader.text() !== 'hostkeys-prove-00@openssh.com') return undefined;
  reader.bool();
  const keys: string[] = [];
  for (let rest = payload.length - 1 - 4 - 29 - 1; rest > 0; ) {
    const blob = reader.string();
    rest -= 4 + blob.length;
    keys.push(Buffer.from(blob).toString('base64'));
    if (keys.length > keysMax) throw new Error('too many host keys to prove');
  }
  return keys;
}

const proofs = (signatures: readonly string[]): readonly Uint8Array[] => [
  Uint8Array.of(number.requestSuccess),
  ...signatures.map((signature) => wireString(Buffer.from(signature, 'base64'))),
];

export type GlobalRequestsHost = {
  send(parts: readonly Uint8Array[]): void;
  refuse(answer: readonly Uint8Array[] | undefined): void;
  prove(hostKeys: readonly string[]): Promise<readonly string[]>;
};

export class GlobalRequests {
  readonly #host: GlobalRequestsHost;
  #hasProved = false;

  constructor(host: GlobalRequestsHost) {
    this.#host = host;
  }

  take(payload: Buffer): void {
    const keys = keysToProve(payload);
    const name = new WireReader(payload.subarray(1)).string();
    if (keys === undefined || keys.length === 0 || this.#hasProved)
      return this.#host.refuse(payload[5 + name.length] === 1 ? [Uint8Array.of(number.requestFailure)] : undefined);
    this.#hasProved = true;
    const proved = this.#host.prove(keys).then((signatures) => this.#host.send(proofs(signatures)));
    detach(proved, () => this.#host.send([Uint8Array.of(number.requestFailure)]));
  }
}
