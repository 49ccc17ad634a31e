// Owns: what this gateway offers in key exchange, per listener profile and client.
import { type HostKeyAlgorithm, type Profile, profiles } from '../../domain/algorithms.ts';
import { KexInit } from './ssh2-core.ts';

/** ssh2's class whose framing every method here shares: one value each way in messages 30 and 31. */
export const carrier = 'curve25519-sha256';
const strictMarker = 'kex-strict-s-v00@openssh.com';

function offerWith(profile: Profile, hostKeys: readonly HostKeyAlgorithm[], cipher: readonly string[]): object {
  const direction = { cipher, mac: profile.macs, compress: ['none'], lang: [] };
  const offer = new KexInit({ kex: [...profile.keyExchange, strictMarker], serverHostKey: hostKeys, cs: direction, sc: direction });
  // What is sent was written above; ssh2 compares with this list, and all our methods run under one name there.
  offer.lists.kex.array.push(carrier);
  return offer;
}

/**
 * What is offered to a client with this identification line. The client's order decides (RFC 4253 section 7.1), and OpenSSH puts AES-CTR before
 * AES-GCM, at twice the cost on both sides: OpenSSH 7 and newer is offered GCM only.
 */
export function makeOffers(profile: Profile, hostKeys: readonly HostKeyAlgorithm[]): (identification: string) => object {
  const gcm = profiles.fips.ciphers;
  const general = offerWith(profile, hostKeys, profile.ciphers);
  const fast = offerWith(profile, hostKeys, gcm);
  return (identification) => (/^SSH-2\.0-OpenSSH_(?:[7-9]|[1-9]\d)\./.test(identification) ? fast : general);
}
