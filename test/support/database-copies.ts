// Owns: copies of a database that is in use, and putting an older copy in its place, as a failover to a stale standby
// would.
import pg from 'pg';
import { withDatabase } from './database.ts';

export const siblingName = (url: string, word: string): string => `${nameOf(url)}_${word}`;
const nameOf = (url: string): string => /^postgres(?:ql)?:\/\/[^/]*\/([^?]*)/.exec(url)?.[1] ?? '';

/** Nobody is connected to the database while `work` runs; everybody may connect again afterwards. */
async function cutOff<T>(url: string, work: (server: pg.Client, name: string) => Promise<T>): Promise<T> {
  const server = new pg.Client({ connectionString: withDatabase(url, 'postgres') });
  server.on('error', () => {});
  await server.connect();
  const name = nameOf(url);
  try {
    await server.query(`alter database ${name} with allow_connections false`);
    await server.query(
      'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
      [name],
    );
    return await work(server, name);
  } finally {
    await server.query(`alter database ${name} with allow_connections true`);
    await server.end();
  }
}

/** `meanwhile` runs while nobody can write: what it copies belongs to this very state. Returns the copy's URL. */
export function copyDatabase(url: string, copy: string, meanwhile: () => void = () => {}): Promise<string> {
  return cutOff(url, async (server, name) => {
    await server.query(`create database ${copy} template ${name}`);
    meanwhile();
    return withDatabase(url, copy);
  });
}

/** The copy takes the place of the database in one move; the database continues under the name `aside`. */
export function replaceDatabase(url: string, copy: string, aside: string): Promise<void> {
  return cutOff(url, async (server, name) => {
    await server.query(`alter database ${name} rename to ${aside}`);
    await server.query(`alter database ${copy} rename to ${name}`);
    await server.query(`alter database ${aside} with allow_connections true`);
  });
}

/** On a shared server nothing may be left behind; without a server there is nothing. */
export async function dropDatabases(url: string, names: readonly string[]): Promise<void> {
  const server = new pg.Client({ connectionString: withDatabase(url, 'postgres') });
  server.on('error', () => {});
  try {
    await server.connect();
  } catch {
    return;
  }
  for (const name of names) await server.query(`drop database if exists ${name} with (force)`);
  await server.end();
}
