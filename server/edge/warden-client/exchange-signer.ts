// Owns: what a connection may ask about the host keys in the warden:
// which keys are offered, the current challenge, and signatures.
import type { HostKeyAlgorithm } from '../../domain/algorithms.ts';
import type { Signed, Transcript } from '../transport/key-exchange.ts';
import type { WardenClient } from './warden-client.ts';

/** The address and port of the client for which the warden signs. */
type Source = { readonly address: string; readonly port: number };

export type ExchangeContext = {
  /** Returns the host key algorithms that are offered to clients. */
  hostKeysInUse(): readonly HostKeyAlgorithm[];
  /** Returns the public halves of all host keys in base64, including those that are announced for the next rotation. */
  hostKeys(): readonly string[];
  /** Returns the first bytes of our KEXINIT cookie, by which the warden recognises that the exchange is recent. */
  challenge(): Buffer;
  /**
   * False when nobody would sign an exchange that begins now, because
   * its challenge is that of a warden that is stopping or has stopped.
   */
  maySign(): boolean;
  /** Resolves when an exchange may begin; rejects with `unavailable` when no warden comes in time. */
  whenSignable(): Promise<void>;
  sign(connection: string, source: Source, transcript: Transcript): Promise<Signed>;
};

export function exchangeSigner(warden: WardenClient): ExchangeContext {
  const base64 = (bytes: Buffer): string => bytes.toString('base64');
  return {
    hostKeysInUse: () => warden.hostKeys.filter((key) => key.inUse).map((key) => key.algorithm),
    hostKeys: () => warden.hostKeys.map((key) => key.blob),
    challenge: () => Buffer.from(warden.challenge, 'hex'),
    maySign: () => warden.isReady,
    whenSignable: () => warden.whenReady(),
    sign: async (connection, source, transcript) => {
      const signed = await warden.call('exchange.sign', {
        connection,
        source,
        isFirst: transcript.isFirst,
        keyExchange: transcript.keyExchange,
        hostKeyAlgorithm: transcript.hostKeyAlgorithm,
        clientIdentification: base64(transcript.clientIdentification),
        serverIdentification: base64(transcript.serverIdentification),
        clientKexInit: base64(transcript.clientKexInit),
        serverKexInit: base64(transcript.serverKexInit),
        clientPublic: base64(transcript.clientPublic),
        serverPublic: base64(transcript.serverPublic),
        sharedSecret: base64(transcript.sharedSecret),
      });
      return { hostKey: Buffer.from(signed.hostKey, 'base64'), signature: Buffer.from(signed.signature, 'base64') };
    },
  };
}
