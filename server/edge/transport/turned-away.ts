// Owns: the words for a client that is not let in: an identification and SSH_MSG_DISCONNECT, before there is a
// connection.
// Must never: hold more than `atOnceMax` sockets for such words. Whoever comes beyond that is turned away in silence,
// so that a flood costs what it cost without words.
import type { Socket } from 'node:net';
import { identification } from '../../config/config.ts';
import { concatBytes, wireUint32 } from '../../domain/ssh-wire.ts';
import type { SocketReader } from '../../rpc/own-buffer.ts';
import { goodbyeAtTheDoor } from './end-reasons.ts';
import { discarding, linger } from './farewell.ts';
import { disconnect } from './messages/disconnect.ts';

const atOnceMax = 64;
/** Before there are keys, a packet is a multiple of 8 bytes, with 4 bytes of padding or more (RFC 4253 section 6). */
const blockBytes = 8;

/** Returns one packet as it is sent before there are keys. */
function plainPacket(payload: Uint8Array): Uint8Array {
  const shortest = blockBytes - ((5 + payload.length) % blockBytes);
  const padding = shortest < 4 ? shortest + blockBytes : shortest;
  return concatBytes([
    wireUint32(1 + payload.length + padding),
    Uint8Array.of(padding),
    payload,
    new Uint8Array(padding),
  ]);
}

export class TurnedAway {
  readonly #sockets = new Set<Socket>();

  /** Tells the client why it is not let in, when there is room for that, and closes the socket. */
  tell(reader: Pick<SocketReader, 'socket' | 'read' | 'resume'>, text: string): void {
    const { socket } = reader;
    if (socket.destroyed || this.#sockets.size >= atOnceMax) return void socket.destroy();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const { code, text: description } = goodbyeAtTheDoor(text);
    const message = concatBytes(disconnect.write({ reason: code, description }));
    socket.write(concatBytes([new TextEncoder().encode(`${identification}\r\n`), plainPacket(message)]));
    reader.read(discarding(socket));
    reader.resume();
    linger(socket);
  }
}
