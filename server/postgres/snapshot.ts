// Owns: one long look at the database: a read-only snapshot whose rows are handed over one by one, and which can be given up.
// Must never: keep rows, or go on when nobody wants them: an old snapshot stops the pruning of the hot budget rows.
import pg from 'pg';
import type { Row, Transaction } from './database.ts';

export type Snapshot = Transaction & {
  /** Hands over each row as it arrives; how many there were. What `onRow` throws ends the statement. */
  each<T extends Row>(text: string, values: readonly unknown[], onRow: (row: T) => void): Promise<number>;
};
export type SnapshotOptions = {
  /** For one statement; the whole look takes at most this too. */
  readonly timeoutMs: number;
  /** Sort and hash memory of one step of one process of a plan. */
  readonly workMemory: '256MB';
  readonly signal: AbortSignal;
};

/** Gives the transaction the time that it may take; the process that serves it. */
export async function beginSnapshot(tx: Transaction, { timeoutMs, workMemory }: SnapshotOptions): Promise<number> {
  const [row] = await tx.query<{ pid: number }>(
    `select pg_backend_pid() as pid, set_config('statement_timeout', $1, true), set_config('work_mem', $2, true), set_config('jit', 'off', true),
       -- A timer that runs is not set again: it is stopped first.
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end,
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', $1, true) end`,
    [String(timeoutMs), workMemory],
  );
  return row?.pid ?? 0;
}

export function eachRow<T extends Row>(
  client: pg.PoolClient,
  text: string,
  values: readonly unknown[],
  onRow: (row: T) => void,
  cancel: () => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    let thrown: { readonly error: unknown } | undefined;
    const query = new pg.Query<T>(text, values as unknown[]);
    query.on('row', (row) => {
      if (thrown !== undefined) return;
      try {
        onRow(row);
        count += 1;
      } catch (error) {
        thrown = { error };
        cancel();
      }
    });
    query.on('error', (error) => reject(thrown === undefined ? error : thrown.error));
    query.on('end', () => (thrown === undefined ? resolve(count) : reject(thrown.error)));
    client.query(query);
  });
}
