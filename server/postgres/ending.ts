// Owns: the end of connections and of their pool, whether the server or our own side ends them. A connection that is
// lent out is returned or cut.
// Must never: wait for ever for work that nobody will end.
import type pg from 'pg';
import { happens } from '../domain/bounded.ts';
import { held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';

/**
 * How long running work may take to end, and then how long a connection that was cut may take to be gone, in
 * milliseconds.
 */
const endMs = 5000;

/**
 * Returns the function that ends this pool; it may be called once. The pool ends when every connection was returned. A
 * connection that is not returned in time is cut, and its transaction with it. Throws `unavailable` when connections
 * are left even then.
 */
export function endOf(pool: pg.Pool): () => Promise<void> {
  const clients = new Set<pg.PoolClient>();
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    // A server that ends a connection at the moment when it accepts it reports that before other code has added a
    // listener.
    client.on('error', () => {});
    clients.add(client);
  });
  pool.on('remove', (client) => clients.delete(client));
  return async () => {
    if (await happens(endMs, held(pool.end()))) return;
    if (!(await happens(endMs, Promise.allSettled([...clients].map((client) => client.end())))))
      throw new CofferdamError(
        'unavailable',
        `${clients.size} connections of the database were not given back in ${(2 * endMs) / 1000} s`,
      );
  };
}

/** Ends one connection. A server that hangs does not delay this longer than `endMs`. */
export async function ended(client: pg.Client | undefined): Promise<void> {
  if (client !== undefined) await happens(endMs, Promise.allSettled([client.end()]));
}
