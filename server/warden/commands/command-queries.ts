// Owns: the SQL of commands and of what they create: customers, accounts, rights.
import type { Database, Transaction } from '../../postgres/database.ts';

export type CommandRow = {
  readonly id: string;
  readonly operation: string;
  readonly params: unknown;
  readonly operator: string;
  readonly operatorId: string;
  readonly role: string;
  readonly isActive: boolean;
  /** The time since the command was asked for, in milliseconds. */
  readonly ageMs: number;
};

/** Returns whether any command waits, in either queue. It is one statement, because it is asked all the time. */
export async function areWaiting(database: Pick<Database, 'call'>): Promise<boolean> {
  const [row] = await database.call<{ waits: boolean }>(
    "select exists (select from command where state = 'new') as waits",
    [],
  );
  return row?.waits === true;
}

/** The two queues of commands. Plans have a queue of their own, so that no change waits for a plan. */
export type QueueName = 'plans' | 'others';

/**
 * The lock timeout of a command in milliseconds. When somebody else holds a lock that it needs, the command gives way
 * to the next one and is tried again.
 */
const lockMs: Readonly<Record<QueueName, number>> = { others: 5000, plans: 2000 };

/**
 * Takes the oldest waiting command of the operator who was served longest ago, and locks it; other wardens skip it.
 * `served` lists operators' ids, the one who was served last at the end. Returns undefined when no command waits.
 */
export async function takeCommand(
  tx: Transaction,
  line: QueueName,
  served: readonly string[],
): Promise<CommandRow | undefined> {
  const [taken] = await tx.query<{ id: string }>(
    `select id from command where state = 'new' and (operation = 'plan') = $2
     order by array_position($1::uuid[], operator_id) nulls first, created_at limit 1 for update skip locked`,
    [served, line === 'plans'],
  );
  if (taken === undefined) return undefined;
  await tx.query("select set_config('lock_timeout', $1::int::text, true)", [lockMs[line]]);
  const [row] = await tx.query<{
    id: string;
    operation: string;
    params: unknown;
    operator_id: string;
    name: string;
    role: string;
    state: string;
    age_ms: number;
  }>(
    `select c.id, c.operation, c.params, c.operator_id, o.name, o.role, o.state, extract(epoch from clock_timestamp() - c.created_at)::float8 * 1000 as age_ms
     from command c join operator o on o.id = c.operator_id
     where c.id = $1`,
    [taken.id],
  );
  return (
    row && {
      id: row.id,
      operation: row.operation,
      params: row.params,
      operator: row.name,
      operatorId: row.operator_id,
      role: row.role,
      isActive: row.state === 'active',
      ageMs: row.age_ms,
    }
  );
}

export async function finishCommand(tx: Transaction, id: string, result: unknown): Promise<void> {
  await tx.query("update command set state = 'done', result = $2, finished_at = clock_timestamp() where id = $1", [
    id,
    JSON.stringify(result),
  ]);
}

/** Answers a command with an error. Does nothing when it was answered before. */
export async function failCommand(tx: Transaction, id: string, code: string, text: string): Promise<void> {
  await tx.query(
    "update command set state = 'failed', error_code = $2, error_text = $3, finished_at = clock_timestamp() where id = $1 and state = 'new'",
    [id, code, text],
  );
}

/** Returns the names of these customers and accounts by id, for texts that people read. */
export async function namesOf(
  tx: Transaction,
  customers: readonly string[],
  accounts: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await tx.query<{ id: string; name: string }>(
    'select id::text, name from customer where id = any ($1::uuid[]) union all select id::text, name from account where id = any ($2::uuid[])',
    [customers, accounts],
  );
  return new Map(rows.map((row) => [row.id, row.name]));
}
