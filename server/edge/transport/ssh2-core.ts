// Owns: the access to ssh2's transport core, narrowly typed. ssh2's server is never loaded; its client and SFTP.js are
// loaded only for the self-test (ssh2-client.ts).
import { createRequire } from 'node:module';
import { CofferdamError } from '../../domain/errors.ts';

const require = createRequire(import.meta.url);

/** What ssh2's key exchange needs from a host key. */
type CoreHostKey = { readonly type: string; getPublicSSH(): Buffer; sign(data: Buffer): Buffer | Error };
/** One key exchange of ssh2. ssh2 creates it for each KEXINIT; its parts are replaced by ours. */
export type CoreKeyExchange = {
  remoteExtInfoEnabled: boolean;
  sessionID: Buffer | undefined;
  negotiated: {
    kex: string;
    readonly serverHostKey: string;
    readonly cs: { readonly cipher: string };
    readonly sc: { readonly cipher: string };
  };
  hashName: string;
  _kexinit: Buffer;
  _remoteKexinit: Buffer;
  _identRaw: Buffer;
  _remoteIdentRaw: Buffer;
  parse: (payload: Buffer) => unknown;
  convertPublicKey: (value: Buffer) => Buffer;
  computeSecret: (value: Buffer) => Buffer | Error;
  getPublicKey: () => Buffer;
  /** Set when our NEWKEYS was sent, and when the client's came. */
  readonly _sentNEWKEYS: boolean;
  readonly _receivedNEWKEYS: boolean;
  /** After our NEWKEYS was sent: takes the new keys into use, and calls `_onHandshakeComplete`. */
  finish(): unknown;
};
/**
 * `CoreCipher` encrypts one direction of a connection, and `CoreDecipher` decrypts the other. ssh2 makes new ones after
 * each key exchange.
 */
export type CoreCipher = { outSeqno: number; readonly _dead: boolean; encrypt(packet: Buffer): void; free(): void };
export type CoreDecipher = {
  inSeqno: number;
  _onPayload: (payload: Buffer) => unknown;
  decrypt(data: Buffer, from: number, to: number): number | undefined;
  free(): void;
};
export type CoreProtocol = {
  start(): void;
  parse(chunk: Buffer, from: number, to: number): void;
  cleanup(): void;
  rekey(): void;
  /** Called by ssh2 before it gives up the connection and calls `onError`. */
  disconnect: (reason: number) => void;
  _authenticated: boolean;
  _offer: object;
  _strictMode: boolean | undefined;
  /** Our KEXINIT; defined while a key exchange is under way. ssh2 queues outgoing packets meanwhile. */
  _kexinit: Buffer | undefined;
  _kex: CoreKeyExchange | undefined;
  _hostKeys: Readonly<Record<string, CoreHostKey>>;
  /** The packets that are held back while a key exchange is under way. */
  readonly _queue: readonly Buffer[] | undefined;
  _decipher: CoreDecipher;
  readonly _cipher: CoreCipher;
  /** `isAtOnce` allocates outside of the buffer for packets that may have to wait for new keys. */
  _packetRW: {
    write: {
      allocStart: number;
      allocStartKEX: number;
      alloc(bytes: number, isAtOnce?: boolean): Buffer;
      finalize(packet: Buffer, isAtOnce?: boolean): Buffer;
    };
  };
  _onHandshakeComplete: (negotiated: CoreNegotiated) => void;
};
type CoreNegotiated = {
  readonly kex: string;
  readonly serverHostKey: string;
  readonly cs: { readonly cipher: string; readonly mac: string };
  readonly sc: { readonly cipher: string; readonly mac: string };
};
type Handler = (protocol: CoreProtocol, payload: Buffer) => unknown;
type CoreOptions = {
  readonly server: true;
  readonly ident: string;
  readonly hostKeys: Readonly<Record<string, CoreHostKey>>;
  readonly offer: object;
  readonly onWrite: (data: Buffer) => void;
  readonly onError: (error: Error) => void;
  readonly onHeader: (header: { readonly identRaw: string }) => void;
  readonly onHandshakeComplete: (negotiated: CoreNegotiated) => void;
  readonly messageHandlers: Readonly<Record<string, never>>;
};

export const Protocol = require('ssh2/lib/protocol/Protocol.js') as new (options: CoreOptions) => CoreProtocol;
export const { KexInit } = require('ssh2/lib/protocol/kex.js') as {
  KexInit: new (lists: object) => { readonly lists: { readonly kex: { readonly array: string[] } } };
};
/**
 * ssh2's table from message number to handler. It is shared by all connections and mutable; guard.ts replaces its
 * entries.
 */
export const coreHandlers = require('ssh2/lib/protocol/handlers.js') as (Handler | undefined)[];
const { sendPacket } = require('ssh2/lib/protocol/utils.js') as {
  sendPacket: (protocol: CoreProtocol, packet: Buffer, isAtOnce?: boolean) => boolean;
};
type CipherInfo = { readonly keyLen: number; readonly ivLen: number };
type MacInfo = { readonly len: number };
const crypto = require('ssh2/lib/protocol/crypto.js') as {
  readonly bindingAvailable: boolean;
  readonly init: Promise<void>;
  readonly CIPHER_INFO: Readonly<Record<string, CipherInfo>>;
  readonly MAC_INFO: Readonly<Record<string, MacInfo>>;
  createCipher(config: object): CoreCipher;
  createDecipher(config: object): CoreDecipher;
};
const { version } = require('ssh2/package.json') as { version: string };
/**
 * What ssh2 makes its ciphers of, and ssh2's version. By these, own-packets-check.ts verifies the private parts of
 * ciphers that we use.
 */
export const coreCiphers = { ...crypto, version };

/** Whether ssh2's native cipher is available. Without it ssh2 uses Node's own ciphers, which cost more. */
export const hasNativeCipher = crypto.bindingAvailable;

/**
 * Resolves when the cipher is ready. Throws `configuration` when the native cipher is missing, unless `allowSlowCipher`
 * is true.
 */
export async function readyCore(allowSlowCipher: boolean): Promise<void> {
  if (!hasNativeCipher && !allowSlowCipher)
    throw new CofferdamError('configuration', "ssh2's native cipher does not load: run `node scripts/prepare.cjs`");
  await crypto.init;
}

/**
 * Sends one message. The parts together are the payload without the packet header; its first byte is the message
 * number. While a key exchange is under way, ssh2 holds the message back until it is over, unless `isAtOnce` is true.
 */
export function sendPayload(protocol: CoreProtocol, parts: readonly Uint8Array[], isAtOnce = false): void {
  const { write } = protocol._packetRW;
  let at = isAtOnce ? write.allocStartKEX : write.allocStart;
  const packet = write.alloc(
    parts.reduce((sum, part) => sum + part.length, 0),
    isAtOnce,
  );
  for (const part of parts) {
    packet.set(part, at);
    at += part.length;
  }
  sendPacket(protocol, write.finalize(packet, isAtOnce), isAtOnce);
}
