// Owns: answering, by way of the warden, what the transport asks about the host keys: which keys are offered, the
// current challenge, and signatures.

import type { ExchangeContext } from '../transport/exchange-context.ts';
import type { WardenClient } from './warden-client.ts';

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
