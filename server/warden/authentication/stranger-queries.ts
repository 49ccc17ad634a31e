// Owns: the SQL of failed logins without a known account: they are counted durably by minute, node and source, and
// moved into the record when the minute is over.
// Must never: take a minute that is not over, or one that is not recorded in the same transaction.
import { idOf, type NodeName } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

type StrangerMinute = {
  readonly minute: Date;
  readonly node: NodeName;
  readonly source: string;
  readonly attempts: number;
  readonly client: string | null;
};

/** Counts one failed login. `source` is an IPv4 address, or for IPv6 its /64 network. */
export async function countStranger(tx: Transaction, node: NodeName, source: string, client: string): Promise<void> {
  await tx.query(
    `insert into stranger_login (minute, node, source, client) values (date_trunc('minute', clock_timestamp()), $1, $2, $3)
     on conflict (minute, node, source) do update set attempts = stranger_login.attempts + 1, client = excluded.client`,
    [node, source, client],
  );
}

const strangerKey = "extract(epoch from minute)::bigint || '/' || node || '/' || source";
const isOver = "minute < date_trunc('minute', clock_timestamp())";

/** Returns the keys of up to `limit` counters whose minute is over, oldest first. */
export async function findStrangers(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ key: string }>(
    `select ${strangerKey} as key from stranger_login where ${isOver} order by minute limit $1`,
    [limit],
  );
  return rows.map((row) => row.key);
}

/** Deletes these counters and returns them. The caller records them in the same transaction. */
export async function takeStrangers(tx: Transaction, keys: readonly string[]): Promise<readonly StrangerMinute[]> {
  const rows = await tx.query<{ minute: Date; node: string; source: string; attempts: number; client: string | null }>(
    `delete from stranger_login s using (
       select minute, node, source from stranger_login where ${isOver} and ${strangerKey} = any ($1::text[]) for update skip locked) d
     where s.minute = d.minute and s.node = d.node and s.source = d.source returning s.minute, s.node, host(s.source) as source, s.attempts, s.client`,
    [keys],
  );
  return rows.map((row) => ({ ...row, node: idOf<NodeName>(row.node) }));
}
