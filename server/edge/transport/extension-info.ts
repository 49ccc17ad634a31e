// Owns: SSH_MSG_EXT_INFO (RFC 8308), which tells a client the algorithms with which it may sign.
import { wireString } from '../../domain/ssh-wire.ts';
import { u32 } from './channel.ts';
import { number } from './messages.ts';
import type { CoreProtocol } from './ssh2-core.ts';

/**
 * Sends our own SSH_MSG_EXT_INFO once, after the first new keys, to a client that asked for it.
 * That of ssh2 is suppressed, because version 1.17.0 joins two names of its list by mistake.
 */
export function announceSignatures(
  protocol: CoreProtocol,
  algorithms: readonly string[],
  send: (parts: readonly Uint8Array[]) => void,
): void {
  const original = protocol._onHandshakeComplete;
  let isFirst = true;
  protocol._onHandshakeComplete = (negotiated) => {
    const wanted = isFirst && protocol._kex?.remoteExtInfoEnabled === true;
    if (protocol._kex !== undefined) protocol._kex.remoteExtInfoEnabled = false;
    isFirst = false;
    original(negotiated);
    if (wanted) send([Uint8Array.of(number.extInfo), u32(1), wireString('server-sig-algs'), wireString(algorithms.join(','))]);
  };
}
