// Owns: the exchange hash H (RFC 4253 section 8; RFC 5656 section 4; draft-ietf-sshm-mlkem-hybrid-kex), which is
// computed here from its fields.
import { createHash } from 'node:crypto';
import { hashAlgorithmOf, type KeyExchangeMethod } from '../../domain/algorithms.ts';
import { wireString } from '../../domain/ssh-wire.ts';

type ExchangeFields = {
  readonly keyExchange: KeyExchangeMethod;
  readonly clientIdentification: Uint8Array;
  readonly serverIdentification: Uint8Array;
  readonly clientKexInit: Uint8Array;
  readonly serverKexInit: Uint8Array;
  readonly hostKey: Uint8Array;
  readonly clientPublic: Uint8Array;
  readonly serverPublic: Uint8Array;
  /** K as the bytes of an mpint, or as the string of the hybrid method. Both are hashed with their length in front. */
  readonly sharedSecret: Uint8Array;
};

/** Returns the exchange hash: 32 bytes, or 48 with nistp384. */
export function exchangeHash(fields: ExchangeFields): Buffer {
  const hash = createHash(hashAlgorithmOf(fields.keyExchange));
  for (const part of [
    fields.clientIdentification,
    fields.serverIdentification,
    fields.clientKexInit,
    fields.serverKexInit,
    fields.hostKey,
    fields.clientPublic,
    fields.serverPublic,
    fields.sharedSecret,
  ])
    hash.update(wireString(part));
  return hash.digest();
}
