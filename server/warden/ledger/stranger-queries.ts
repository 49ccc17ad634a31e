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

/** Those of minutes that are over, taken out: they are recorded in the same transaction. */
export async function takeStrangers(tx: Transaction, limit: number): Promise<readonly StrangerMinute[]> {
  const rows = await tx.query<{ minute: Date; node: string; source: string; attempts: number; client: string | null }>(
    `delete from stranger_login s using (
       select minute, node, source from stranger_login where minute < date_trunc('minute', clock_timestamp()) order by minute limit $1 for update skip locked) d
     where s.minute = d.minute and s.node = d.node and s.source = d.source returning s.minute, s.node, host(s.source) as source, s.attempts, s.client`,
    [limit],
  );
  return rows.map((row) => ({ ...row, node: idOf<NodeName>(row.node) }));
}
