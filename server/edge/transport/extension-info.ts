// Owns: telling a client the algorithms with which it may sign (RFC 8308 section 3.1).
import { extInfo } from './messages/ext-info.ts';
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
    if (wanted) send(extInfo.write({ extensions: [{ name: 'server-sig-algs', value: algorithms.join(',') }] }));
  };
}
