// Owns: the ends of connections and of their pool: those that the server makes, and our own: what is lent comes back, or loses its connection.
// Must never: wait for ever for work that nobody will end.
import type pg from 'pg';
import { happens } from '../domain/bounded.ts';
import { held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';

/** How long what was begun may take to its end, and a connection that was cut to be gone. */
const endMs = 5000;

/** What ends this pool, to be called once. A pool ends when everything is given back: what does not come back loses its connection, and so its transaction. */
export function endOf(pool: pg.Pool): () => Promise<void> {
  const clients = new Set<pg.PoolClient>();
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    // A server that ends a connection in the same breath in which it accepts it says so before anybody listens.
    client.on('error', () => {});
    clients.add(client);
  });
  pool.on('remove', (client) => clients.delete(client));
  return async () => {
    if (await happens(endMs, held(pool.end()))) return;
    if (!(await happens(endMs, Promise.allSettled([...clients].map((client) => client.end())))))
      throw new CofferdamError('unavailable', `${clients.size} connections of the database were not given back in ${(2 * endMs) / 1000} s`);
  };
}

/** The end of one connection, which a server that stands still does not hold up. */
export async function ended(client: pg.Client | undefined): Promise<void> {
  if (client !== undefined) await happens(endMs, Promise.allSettled([client.end()]));
}
