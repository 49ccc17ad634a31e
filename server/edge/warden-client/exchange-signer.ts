// Owns: a connection's view of the host keys in the warden: what is offered, the challenge of the day, signatures.
import type { HostKeyAlgorithm } from '../../domain/algorithms.ts';
import type { Signed, Transcript } from '../transport/key-exchange.ts';
import type { WardenClient } from './warden-client.ts';

/** From where the client comes: whose signatures these are. */
type Source = { readonly address: string; readonly port: number };

export type ExchangeContext = {
  hostKeysInUse(): readonly HostKeyAlgorithm[];
  /** Public halves, base64, of all keys, the next ones too. */
  hostKeys(): readonly string[];
  challenge(): Buffer;
  /** False while an exchange could be begun that nobody would sign: its challenge is that of a warden that leaves or has left. */
  maySign(): boolean;
  /** Resolves when it may be begun; rejects when no warden comes. */
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
