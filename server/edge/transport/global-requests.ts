// Owns: global requests. All are refused except one: a client that was told our host keys, including those of
// the next rotation, may ask once in a connection for proofs that we have them (OpenSSH's PROTOCOL, section 3).

import { detach } from '../../domain/detached.ts';
import { globalRequest } from './messages/global-request.ts';
import { hostKeys } from './messages/host-keys.ts';
import { requestFailure } from './messages/request-failure.ts';
import { requestSuccess } from './messages/request-success.ts';

const bytesOf = (blobs: readonly string[]): readonly Uint8Array[] => blobs.map((blob) => Buffer.from(blob, 'base64'));

/** Returns the message that tells a client our host keys; `blobs` are their public halves in base64. */
export const announcement = (blobs: readonly string[]): readonly Uint8Array[] =>
  globalRequest.write({ name: hostKeys.announce, wantsReply: false, data: hostKeys.write(bytesOf(blobs)) });

type GlobalRequestsHost = {
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

  /** Throws on a malformed request, and on more keys than may be proved. */
  take(payload: Buffer): void {
    const { name, wantsReply, data } = globalRequest.read(payload);
    const keys = name === hostKeys.prove ? hostKeys.read(data) : [];
    if (keys.length === 0 || this.#hasProved)
      return this.#host.refuse(wantsReply ? requestFailure.write({}) : undefined);
    this.#hasProved = true;
    const proved = this.#host
      .prove(keys.map((key) => Buffer.from(key).toString('base64')))
      .then((signatures) => this.#host.send(requestSuccess.write({ data: hostKeys.write(bytesOf(signatures)) })));
    detach(proved, () => this.#host.send(requestFailure.write({})));
  }
}
