// Owns: what the transport asks the warden about host keys, in words that do not say how the warden is reached.
import type { HostKeyAlgorithm } from '../../domain/algorithms.ts';
import type { Signed, Transcript } from './key-exchange.ts';

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
