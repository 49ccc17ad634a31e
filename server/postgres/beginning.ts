// Owns: how a transaction begins: its scope, how long it may wait for locks, and what must hold then, all on one way to the server and back.
// Must never: put a value into the text of SQL but the quoted scope, a number, or a quoted value of a condition.
import type pg from 'pg';

/** What must hold as a transaction begins: that this function of the database says true of these values. Where it does not, `otherwise` is thrown. */
export type Condition = {
  readonly call: string;
  readonly values: readonly (string | number | boolean)[];
  readonly otherwise: () => Error;
};

export type Beginning = {
  /** `begin`, with the words of its kind. */
  readonly begin: string;
  /** Names of customers, or `*`. */
  readonly scope: string;
  /** Milliseconds; null: as long as a statement may take. */
  readonly lockMs: number | null;
  readonly condition: Condition | undefined;
};

export async function beginTransaction(client: pg.ClientBase, { begin, scope, lockMs, condition }: Beginning): Promise<void> {
  const quoted = (text: string): string => client.escapeLiteral(text);
  const patience = lockMs === null ? '' : `, set_config('lock_timeout', '${Math.ceil(lockMs)}', true)`;
  const scoped = `${begin}; select set_config('cofferdam.customers', ${quoted(scope)}, true)${patience}`;
  if (condition === undefined) {
    await client.query(scoped);
    return;
  }
  // Several statements in one text have a result each.
  const values = condition.values.map((value) => quoted(String(value))).join(', ');
  const results: unknown = await client.query(`${scoped}; select ${client.escapeIdentifier(condition.call)}(${values}) as holds`);
  const last = (results as readonly { readonly rows: readonly { readonly holds: boolean }[] }[]).at(-1);
  if (last?.rows[0]?.holds !== true) throw condition.otherwise();
}
