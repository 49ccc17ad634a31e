// Owns: listening on a Unix socket of a role, with a bound on its connections.
// Must never: listen on a path that anybody but the owner and the group of its directory can reach.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { closedMs } from '../domain/bounded.ts';
import { CofferdamError } from '../domain/errors.ts';

/** A listening socket. `refuse` lets no further connection in; `stop` does that too, and destroys the existing ones. */
export type Listening = { refuse(): void; stop(): Promise<void> };

/**
 * Listens on `path`, in place of whatever an earlier run left there. `onConnect` is called for each connection, and at
 * most `connectionsMax` of them are open at once. With `isPaused`, nothing is read of a connection before somebody
 * reads it (`own-buffer.ts`). Throws `configuration` when nobody can listen there.
 */
export async function listenOn(
  path: string,
  connectionsMax: number,
  onConnect: (socket: Socket) => void,
  isPaused = false,
): Promise<Listening> {
  const open = new Set<Socket>();
  rmSync(path, { force: true });
  const server = createServer({ pauseOnConnect: isPaused }, (socket) => {
    if (open.size >= connectionsMax) {
      socket.destroy();
      return;
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    onConnect(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new CofferdamError('configuration', `cannot listen on ${path}`, { cause })));
    server.listen(path, resolve);
  });
  chmodSync(path, 0o660);
  const closed = new AbortController();
  server.once('close', () => closed.abort());
  return {
    refuse: () => void server.close(),
    stop: async () => {
      server.close();
      for (const socket of open) socket.destroy();
      await pause(closedMs, undefined, { signal: closed.signal }).catch(() => {});
    },
  };
}
