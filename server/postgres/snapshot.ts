// Owns: one long query of the database: a read-only snapshot whose rows are passed on one by one, and which can be
// cancelled.
// Must never: collect rows, or continue when nobody wants them. An old snapshot stops the pruning of the hot budget
// rows.
import pg from 'pg';
import type { Row, Transaction } from './database.ts';

export type Snapshot = Transaction & {
  /**
   * Passes on each row as it arrives, with instants as text (RFC 3339, UTC, milliseconds), and returns the number of
   * rows. When `onRow` throws, the statement is cancelled and the error is thrown.
   */
  each<T extends Row>(text: string, values: readonly unknown[], onRow: (row: T) => void): Promise<number>;
};
export type SharedSnapshot = Snapshot & {
  /**
   * Runs two pieces of work at once, the second over another connection that sees the same snapshot. When one fails,
   * the other is cancelled.
   */
  beside<A, B>(
    mine: (snapshot: Snapshot) => Promise<A>,
    theirs: (snapshot: Snapshot) => Promise<B>,
  ): Promise<readonly [A, B]>;
};
export type SnapshotOptions = {
  /** The limit of one statement in milliseconds, and, from PostgreSQL 17 on, of the whole transaction. */
  readonly timeoutMs: number;
  /** The memory for sorting and hashing, of one step of one process of a plan. */
  readonly workMemory: '256MB';
  readonly signal: AbortSignal;
};

/**
 * Returns the statements that begin a transaction which sees the snapshot that was exported under this name. When the
 * name is undefined, the transaction sees the present state.
 */
export function beginningOf(exported: string | undefined): string {
  const begin = 'begin isolation level repeatable read, read only';
  if (exported === undefined) return begin;
  if (!/^[0-9A-F-]+$/.test(exported)) throw new Error('no name of a snapshot');
  return `${begin}; set transaction snapshot '${exported}'`;
}

/** Sets the limits of the transaction. Returns the id of the server process that serves it. */
export async function beginSnapshot(tx: Transaction, { timeoutMs, workMemory }: SnapshotOptions): Promise<number> {
  const [row] = await tx.query<{ pid: number }>(
    `select pg_backend_pid() as pid, set_config('statement_timeout', $1, true), set_config('work_mem', $2, true), set_config('jit', 'off', true),
       set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true),
       -- One of two looks waits for the other, and whoever has read all may have much to write.
       set_config('idle_in_transaction_session_timeout', $1, true),
       -- A timer that runs is not set again: it is stopped first.
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end,
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', $1, true) end`,
    [String(timeoutMs), workMemory],
  );
  return row?.pid ?? 0;
}

/** Returns a snapshot that begins no further statement after `signal` was aborted. */
export function within(signal: AbortSignal, { query, each }: Snapshot): Snapshot {
  const begin = async (): Promise<void> => signal.throwIfAborted();
  return {
    query: (text, values) => begin().then(() => query(text, values)),
    each: (text, values, onRow) => begin().then(() => each(text, values, onRow)),
  };
}

/** Runs two pieces of work at once. When one fails, `giveUp` ends the other, and the first error is thrown. */
export async function besideEachOther<A, B>(
  mine: () => Promise<A>,
  theirs: () => Promise<B>,
  giveUp: (error: unknown) => void,
): Promise<readonly [A, B]> {
  let failed: { readonly error: unknown } | undefined;
  const fail = (error: unknown): never => {
    if (failed === undefined) {
      failed = { error };
      giveUp(error);
    }
    throw error;
  };
  const [a, b] = await Promise.allSettled([mine().catch(fail), theirs().catch(fail)]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  throw failed?.error;
}

/**
 * Returns an instant in RFC 3339 with milliseconds from the database's form, `2026-11-20 10:00:00.123456+00`.
 * Converting through a Date takes twenty times as long.
 */
function instantOf(text: string): string {
  if (text.length < 22 || text.charCodeAt(10) !== 0x20 || !text.endsWith('+00'))
    throw new Error(`not an instant in UTC: ${text}`);
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(3, '0').slice(0, 3)}Z`;
}

const getTypeParser = (type: number, format?: 'text' | 'binary'): unknown =>
  type === pg.types.builtins.TIMESTAMPTZ ? instantOf : pg.types.getTypeParser(type, format as 'text');

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
    const query = new pg.Query<T>({ text, values: values as unknown[], types: { getTypeParser } });
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
