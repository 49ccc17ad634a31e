// Owns: how a transaction begins: its scope, how long it may wait for locks, and a condition that must hold, all in one
// round trip to the server.
// Must never: put a value into SQL text, except the quoted scope, a number, or a quoted value of a condition.
import type pg from 'pg';

/**
 * A condition that must hold when a transaction begins: the database function `call` returns true for `values`. If it
 * does not, the error of `otherwise` is thrown.
 */
export type Condition = {
  readonly call: string;
  readonly values: readonly (string | number | boolean)[];
  readonly otherwise: () => Error;
};

type Beginning = {
  /** The `begin` statement with its options. */
  readonly begin: string;
  /** Ids of customers, separated by commas, or `*`. */
  readonly scope: string;
  /** How long the transaction may wait for a lock, in milliseconds. Null means as long as a statement may take. */
  readonly lockMs: number | null;
  readonly condition: Condition | undefined;
};

export async function beginTransaction(
  client: pg.ClientBase,
  { begin, scope, lockMs, condition }: Beginning,
): Promise<void> {
  const quoted = (text: string): string => client.escapeLiteral(text);
  const patience = lockMs === null ? '' : `, set_config('lock_timeout', '${Math.ceil(lockMs)}', true)`;
  const scoped = `${begin}; select set_config('cofferdam.customers', ${quoted(scope)}, true)${patience}`;
  if (condition === undefined) {
    await client.query(scoped);
    return;
  }
  // Several statements in one text give one result each; the condition is the last one.
  const values = condition.values.map((value) => quoted(String(value))).join(', ');
  const results: unknown = await client.query(
    `${scoped}; select ${client.escapeIdentifier(condition.call)}(${values}) as holds`,
  );
  const last = (results as readonly { readonly rows: readonly { readonly holds: boolean }[] }[]).at(-1);
  if (last?.rows[0]?.holds !== true) throw condition.otherwise();
}
