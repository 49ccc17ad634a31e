// Owns: the database as its owner sees it: every row, every trigger.
import pg from 'pg';
import type { Teardown } from './database.ts';
import type { World } from './world.ts';

export type OwnerSql = (sql: string, values?: readonly unknown[]) => Promise<readonly pg.QueryResultRow[]>;

export async function asOwner(t: Teardown, world: Pick<World, 'databaseUrl'>): Promise<OwnerSql> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  await client.query("select set_config('cofferdam.customers', '*', false)");
  return async (sql, values = []) => (await client.query(sql, values as unknown[])).rows;
}
