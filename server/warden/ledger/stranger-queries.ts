// Owns: the SQL of failed logins of strangers: counted by source and minute, durably, and handed over when the minute is over.
import { idOf, type NodeName } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type StrangerMinute = {
  readonly minute: Date;
  readonly node: NodeName;
  readonly source: string;
  readonly attempts: number;
  readonly client: string | null;
};

/** `source`: an address, or for IPv6 its network of 64 bits. */
export async function countStranger(tx: Transaction, node: NodeName, source: string, client: string): Promise<void> {
  await tx.query(
    `insert into stranger_login (minute, node, source, client) values (date_trunc('minute', clock_timestamp()), $1, $2, $3)
     on conflict (minute, node, source) do update set attempts = stranger_login.attempts + 1, client = excluded.client`,
    [node, source, client],
  );
}

const strangerKey = "extract(epoch from minute)::bigint || '/' || node || '/' || source";
const isOver = "minute < date_trunc('minute', clock_timestamp())";

/** Names of those of minutes that are over. */
export async function findStrangers(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ key: string }>(
    `select ${strangerKey} as key from stranger_login where ${isOver} order by minute limit $1`,
    [limit],
  );
  return rows.map((row) => row.key);
}

/** Takes them out: they are recorded in the same transaction. */
export async function takeStrangers(tx: Transaction, keys: readonly string[]): Promise<readonly StrangerMinute[]> {
  const rows = await tx.query<{ minute: Date; node: string; source: string; attempts: number; client: string | null }>(
    `delete from stranger_login s using (
       select minute, node, source from stranger_login where ${isOver} and ${strangerKey} = any ($1::text[]) for update skip locked) d
     where s.minute = d.minute and s.node = d.node and s.source = d.source returning s.minute, s.node, host(s.source) as source, s.attempts, s.client`,
    [keys],
  );
  return rows.map((row) => ({ ...row, node: idOf<NodeName>(row.node) }));
}
