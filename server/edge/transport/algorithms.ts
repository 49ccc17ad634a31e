// Owns: which algorithms this gateway offers in a key exchange, depending on the listener's profile and on the client.
import { type HostKeyAlgorithm, type Profile, profiles } from '../../domain/algorithms.ts';
import { KexInit } from './ssh2-core.ts';

/**
 * The name of ssh2's key exchange class under which all our methods run. They
 * share its framing: one value in each direction, in the messages 30 and 31.
 */
export const carrier = 'curve25519-sha256';
const strictMarker = 'kex-strict-s-v00@openssh.com';

function offerWith(profile: Profile, hostKeys: readonly HostKeyAlgorithm[], cipher: readonly string[]): object {
  const direction = { cipher, mac: profile.macs, compress: ['none'], lang: [] };
  const offer = new KexInit({
    kex: [...profile.keyExchange, strictMarker],
    serverHostKey: hostKeys,
    cs: direction,
    sc: direction,
  });
  // The list that is sent was written above. ssh2 compares the client's
  // list with this array, in which all our methods have one name.
  offer.lists.kex.array.push(carrier);
  return offer;
}

/**
 * Returns a function from the client's identification line to the KEXINIT that is offered to this client.
 * The order of the client's list decides (RFC 4253 section 7.1). OpenSSH lists AES-CTR first, which
 * costs twice as much as AES-GCM on both sides; OpenSSH 7 and newer is therefore offered AES-GCM only.
 */
export function makeOffers(
  profile: Profile,
  hostKeys: readonly HostKeyAlgorithm[],
): (identification: string) => object {
  const gcm = profiles.fips.ciphers;
  const general = offerWith(profile, hostKeys, profile.ciphers);
  const fast = offerWith(profile, hostKeys, gcm);
  return (identification) => (/^SSH-2\.0-OpenSSH_(?:[7-9]|[1-9]\d)\./.test(identification) ? fast : general);
}
