// Owns: the last moments of a connection: words for the client, and a short while in which it may read them.
// Must never: keep a socket longer than `lingerMs`, or take in more than `discardedBytesMax` of what still comes.
import type { Socket } from 'node:net';
import type { Goodbye } from './end-reasons.ts';
import { disconnect } from './messages/disconnect.ts';
import { type CoreProtocol, sendPayload } from './ssh2-core.ts';

/** How long a client may read why its connection ends, in milliseconds. */
const lingerMs = 1000;
/**
 * How much may still come from a client meanwhile, in bytes. It is read, because a socket that is closed with unread
 * bytes makes the other side lose ours.
 */
const discardedBytesMax = 1024 * 1024;

/** Returns what takes the bytes that still come, and destroys the socket when they are too many. */
export function discarding(socket: Socket): (bytes: Uint8Array) => number {
  let discarded = 0;
  return ({ length }) => {
    discarded += length;
    if (discarded > discardedBytesMax) socket.destroy();
    return length;
  };
}

/** Sends SSH_MSG_DISCONNECT, also while a key exchange is under way. */
export function sendGoodbye(protocol: CoreProtocol, { code, text }: Goodbye): void {
  try {
    // Our NEWKEYS may be out while the client has not sent its own. What follows ours needs the new keys (RFC 4253
    // section 7.3), which ssh2 takes into use here.
    const kex = protocol._kex;
    if (kex?._sentNEWKEYS === true && kex._receivedNEWKEYS === false) kex.finish();
    sendPayload(protocol, disconnect.write({ reason: code, description: text }), true);
  } catch {
    // The connection ends anyway.
  }
}

/** Closes the socket for writing, and destroys it after `lingerMs` at the latest. */
export function linger(socket: Socket): void {
  socket.end();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}
