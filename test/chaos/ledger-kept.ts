// Owns: the rows of the record as they were at a moment, in a schema beside it, and the ways back to them.
import type pg from 'pg';

/** Columns by which a row that was there is found again. Rows of the first ones are only added. */
const keysOf = {
  ledger_sealed: ['number'],
  ledger_head: ['position'],
  ledger_block: ['tree', 'index'],
  ledger_leaf: ['tree', 'position'],
  ledger_archive: ['month'],
  ledger_archive_range: ['month', 'tree'],
  ledger_tree: ['tree'],
  ledger_state: ['is_only'],
} as const;
type Table = keyof typeof keysOf;
const tables = Object.keys(keysOf) as Table[];
const moves: readonly Table[] = ['ledger_tree', 'ledger_state'];
export type Kept = 'kept' | 'older';

/** In one transaction, as the owner whom no trigger stops, while no round is under way. */
export async function asOwner<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query(
      "set local session_replication_role = replica; set local lock_timeout = '20s'; select from ledger_state for update",
    );
    const done = await work();
    await client.query('commit');
    return done;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

const columns = async (client: pg.Client, table: string): Promise<string> => {
  const { rows } = await client.query<{ names: string }>(
    `select string_agg(quote_ident(attname), ', ' order by attnum) as names from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [table],
  );
  return rows[0]?.names ?? '';
};

export async function keep(client: pg.Client, schema: Kept): Promise<void> {
  await client.query(`drop schema if exists ${schema} cascade; create schema ${schema}`);
  for (const table of tables)
    await client.query(`create table ${schema}.${table} as select ${await columns(client, table)} from ${table}`);
  await client.query(`create table ${schema}.ledger_fresh (like ledger_fresh)`);
}

async function refill(client: pg.Client, schema: Kept, table: string, where: string): Promise<void> {
  const names = await columns(client, table);
  await client.query(`delete from ${table} t ${where}`);
  await client.query(`insert into ${table} (${names}) overriding system value select ${names} from ${schema}.${table}`);
}

/** Everything as it was, and nothing else. */
export async function putAllBack(client: pg.Client, schema: Kept): Promise<void> {
  for (const table of tables) await refill(client, schema, table, '');
}

/** The rows of that moment as they were then; what was sealed since, on top of what was signed, stays. */
export async function putOldBack(client: pg.Client): Promise<void> {
  for (const table of tables.filter((one) => !moves.includes(one))) {
    const keys = keysOf[table];
    const isThere = `exists (select from kept.${table} k where ${keys.map((key) => `k.${key} = t.${key}`).join(' and ')})`;
    const isBelow =
      keys.length === 1 && table !== 'ledger_archive'
        ? ` or t.${keys[0]} <= (select max(${keys[0]}) from kept.${table})`
        : '';
    const isOwn = /archive|leaf/.test(table) ? ' or true' : '';
    await refill(client, 'kept', table, `where ${isThere}${isBelow}${isOwn}`);
  }
  // A tree that has grown since was extended by a sealer, which had examined its row.
  await client.query('delete from ledger_tree where head <= (select max(position) from kept.ledger_head)');
  await client.query('insert into ledger_tree select * from kept.ledger_tree on conflict do nothing');
}

/** Returns whether heads were sealed since: they must not be removed. */
export const hasGrown = async (client: pg.Client): Promise<boolean> =>
  ((await client.query('select from ledger_head where position > (select max(position) from kept.ledger_head)'))
    .rowCount ?? 0) > 0;

/** An entry that waited, where it is gone or still waits. */
export async function putWaitingBack(client: pg.Client): Promise<void> {
  await client.query('delete from ledger_fresh where id in (select id from kept.ledger_fresh)');
  await client.query(
    `insert into ledger_fresh overriding system value select * from kept.ledger_fresh k where not exists (select from ledger_sealed s where s.id = k.id)`,
  );
}
