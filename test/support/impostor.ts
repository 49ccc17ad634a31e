// Owns: what a compromised edge can say to its warden: a client of its socket that plays key exchanges and logins of
// its own making.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';
import { connect } from 'node:net';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import {
  type EdgeToWarden,
  edgeToWarden,
  type LoginOutcome,
  type WardenToEdge,
  wardenToEdge,
} from '../../server/rpc/edge-warden.ts';
import type { Params, Result } from '../../server/rpc/operation.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { signedBlob } from '../../server/warden/credentials/ssh-signature.ts';
import { exchangeHash } from '../../server/warden/exchanges/exchange-hash.ts';

export type EdgePeer = Peer<WardenToEdge, EdgeToWarden, undefined>;
export type SignParams = Params<EdgeToWarden, 'exchange.sign'>;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64');

/** What an edge serves; a compromised one may ignore it. */
const deaf = { 'session.terminate': async () => ({}), 'warden.leaving': async () => ({}) };

export function connectAs(path: string): EdgePeer {
  return new Peer({
    stream: connect(path),
    serves: wardenToEdge,
    handlers: deaf,
    calls: edgeToWarden,
    door: ownDoor(undefined),
    onClose: () => {},
    onBug: () => {},
  });
}

/** A transcript that the warden signs; `change` replaces fields. */
export function transcript(challenge: string, change: Partial<SignParams> = {}): SignParams {
  return {
    connection: randomUUID(),
    source: { address: '127.0.0.1', port: 1 },
    isFirst: true,
    keyExchange: 'curve25519-sha256',
    hostKeyAlgorithm: 'ssh-ed25519',
    clientIdentification: base64(Buffer.from('SSH-2.0-impostor')),
    serverIdentification: base64(Buffer.from('SSH-2.0-Cofferdam')),
    clientKexInit: base64(Buffer.concat([Buffer.of(20), randomBytes(16)])),
    serverKexInit: base64(Buffer.concat([Buffer.of(20), Buffer.from(challenge, 'hex'), randomBytes(8)])),
    clientPublic: base64(randomBytes(32)),
    serverPublic: base64(randomBytes(32)),
    sharedSecret: base64(randomBytes(32)),
    ...change,
  };
}

export function hashOf(params: SignParams, signed: Result<EdgeToWarden, 'exchange.sign'>): Buffer {
  return exchangeHash({
    keyExchange: params.keyExchange,
    clientIdentification: bytesOf(params.clientIdentification),
    serverIdentification: bytesOf(params.serverIdentification),
    clientKexInit: bytesOf(params.clientKexInit),
    serverKexInit: bytesOf(params.serverKexInit),
    hostKey: bytesOf(signed.hostKey),
    clientPublic: bytesOf(params.clientPublic),
    serverPublic: bytesOf(params.serverPublic),
    sharedSecret: bytesOf(params.sharedSecret),
  });
}

/** A customer's Ed25519 key, as the customer would use it. */
export class UserKey {
  readonly #key: KeyObject;
  readonly blob: Uint8Array;
  constructor(key: KeyObject = generateKeyPairSync('ed25519').privateKey) {
    const publicKey = createPublicKey(key);
    this.#key = key;
    this.blob = concatBytes([
      wireString('ssh-ed25519'),
      wireString(Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')),
    ]);
  }
  get line(): string {
    return `ssh-ed25519 ${base64(this.blob)} x`;
  }
  evidence(username: string, sessionIdentifier: Uint8Array): Params<EdgeToWarden, 'login.attempt'>['evidence'] {
    const algorithm = 'ssh-ed25519';
    const data = signedBlob({ username, algorithm, keyBlob: this.blob, sessionIdentifier });
    const signature = concatBytes([wireString(algorithm), wireString(sign(null, data, this.#key))]);
    return { type: 'public-key', algorithm, key: base64(this.blob), signature: base64(signature) };
  }
}

/** The key in an unencrypted Ed25519 file of OpenSSH: its seed is the first half of the 64 bytes before the comment. */
export function keyFromOpenSsh(text: string): UserKey {
  const body = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const marker = Buffer.from([0, 0, 0, 0x40]);
  const at = body.lastIndexOf(marker) + marker.length;
  const seed = body.subarray(at, at + 32);
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return new UserKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
}

export function attempt(
  peer: EdgePeer,
  connection: string,
  username: string,
  evidence: Params<EdgeToWarden, 'login.attempt'>['evidence'],
): Promise<LoginOutcome> {
  return peer.call('login.attempt', {
    connection,
    source: { address: '127.0.0.1', port: 1 },
    username,
    evidence,
  });
}
