// Owns: finding out whether accepted sockets can be read into memory of our own here, by moving bytes through one.
// Must never: wait long, or leave a listener or a socket behind.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { bounded } from '../domain/bounded.ts';
import { held } from '../domain/detached.ts';
import { busyBytes, quietBytes, type ReadMemory, SocketReader } from './own-buffer.ts';

/** Whether sockets are read into memory of our own, and the sentence for the log. */
type HowRead = { readonly isOwn: boolean; readonly text: string };

/** Long enough for a machine that is busy: what is found out is used as long as the process runs. */
const checkMs = 5000;
const bytesSent = 600_000;
/** After this many bytes the check holds the reader, in the middle of what it got. */
const heldAt = 100_001;

/** The byte at a offset of what the check sends. No piece of memory that is used again repeats it. */
const byteAt = (offset: number): number => (offset * 31 + (offset >>> 8) * 7) & 255;

/**
 * Sends bytes through an accepted socket of this process. They must all come, once and in order, also when the reader
 * is held in the middle, in memory that is used again; nothing may come while it is held; and a reply must arrive.
 * `path` is that of a Unix socket, for a role that has no network; without it, a port of loopback is used.
 */
export async function checkOwnBuffer(path?: string): Promise<HowRead> {
  const server = createServer({ pauseOnConnect: true });
  const sockets: Socket[] = [];
  try {
    await moves(server, sockets, path);
    return { isOwn: true, text: 'sockets are read into memory of our own' };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { isOwn: false, text: `sockets are read as Node.js does it, which costs more: ${why}` };
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function moves(server: Server, sockets: Socket[], path: string | undefined): Promise<void> {
  const signal = AbortSignal.timeout(checkMs);
  if (path !== undefined) rmSync(path, { force: true });
  server.listen(path === undefined ? { host: '127.0.0.1', port: 0 } : { path });
  await once(server, 'listening', { signal });
  const connection = held(once(server, 'connection', { signal }) as Promise<[Socket]>);
  const client = connect(path === undefined ? (server.address() as { port: number }) : { path });
  sockets.push(client);
  const answered = held(once(client, 'data', { signal }));
  const sent = Buffer.alloc(bytesSent);
  for (let offset = 0; offset < bytesSent; offset += 1) sent[offset] = byteAt(offset);
  client.write(sent);
  const [socket] = await connection;
  sockets.push(socket);
  await bounded(checkMs, 'the bytes of both sides', Promise.all([received(socket, sockets), answered]));
  // A server is closed when it counts no socket any more.
  server.close();
  client.end();
  await once(server, 'close', { signal });
}

function received(accepted: Socket, sockets: Socket[]): Promise<void> {
  let countedBytes = 0;
  const memory: ReadMemory = {
    take: (bytes) => {
      countedBytes += bytes;
      return true;
    },
    need: (bytes) => (countedBytes += bytes),
    give: (bytes) => (countedBytes -= bytes),
  };
  const reader = new SocketReader(accepted, memory, true);
  sockets.push(reader.socket);
  reader.bytesMax = busyBytes;
  return new Promise((resolve, reject) => {
    let offset = 0;
    let isHeld = false;
    reader.socket.once('error', reject);
    reader.read((bytes) => {
      if (isHeld) reject(new Error('bytes came to a reader that was held'));
      const used = offset < heldAt ? Math.min(bytes.length, heldAt - offset) : bytes.length;
      for (let i = 0; i < used; i += 1) if (bytes[i] !== byteAt(offset + i)) reject(new Error('other bytes came'));
      offset += used;
      if (offset === heldAt) {
        isHeld = true;
        reader.pause();
        setTimeout(() => {
          isHeld = false;
          reader.resume();
        }, 10);
      }
      if (offset === bytesSent) {
        if (countedBytes <= quietBytes) reject(new Error('its memory did not grow'));
        reader.socket.write('done', () => resolve());
      }
      return used;
    });
    reader.resume();
  });
}
