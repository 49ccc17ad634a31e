// Owns: the waits of a migration: for the one lock of all migrations of a database, and for locks of tables that other
// processes hold. Both waits are limited, name the process that holds the lock, and end when the operator cancels.
// Must never: end a process that belongs to somebody else.
import type pg from 'pg';
import { held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import { advisoryLocks, holdsAdvisoryLock } from './advisory-locks.ts';

const lookEveryMs = 500;
const sayEveryMs = 5000;

export type MigrationOptions = {
  /** The limit in milliseconds for the lock of all migrations, and for each lock of a table. */
  readonly waitMs?: number;
  /**
   * Cancels the migration: the running statement is cancelled, its transaction is rolled back, and nothing more begins.
   */
  readonly signal?: AbortSignal;
  /**
   * Receives a text about what the migration waits for and which process holds it, at once and then every five seconds.
   * The text is one line without a line end.
   */
  readonly tell?: (line: string) => void;
  /**
   * False only for schemas that are not those of a version: the one that the expected catalogue is written from, and
   * halves of one in tests.
   */
  readonly isCompared?: boolean;
};
export const defaultWaitMs = 60_000;

type Holder = {
  readonly pid: number;
  readonly name: string;
  readonly user: string | null;
  readonly source: string | null;
  readonly since: Date;
};

function described(holders: readonly Holder[]): string {
  if (holders.length === 0) return 'nobody that this login may see';
  return holders
    .map(({ pid, name, user, source, since }) => {
      const who = [
        name === '' ? 'a client without a name' : name,
        user === null ? '' : ` as ${user}`,
        source === null ? '' : ` from ${source}`,
      ];
      return `process ${pid} of the server (${who.join('')}, connected since ${since.toISOString()})`;
    })
    .join(', ');
}

const holderColumns = `a.pid, coalesce(a.application_name, '') as name, a.usename::text as "user", host(a.client_addr) as source, a.backend_start as since`;

async function holdersOfMigration(client: pg.Client): Promise<readonly Holder[]> {
  const { rows } = await client.query<Holder>(
    `select ${holderColumns} from pg_locks l join pg_stat_activity a on a.pid = l.pid where ${holdsAdvisoryLock('$1')} order by a.pid`,
    [advisoryLocks.migration],
  );
  return rows;
}

async function blockersOf(client: pg.Client, pid: number): Promise<readonly Holder[]> {
  const { rows } = await client.query<Holder>(
    `select ${holderColumns} from pg_stat_activity a where a.pid = any (pg_blocking_pids($1)) order by a.pid`,
    [pid],
  );
  return rows;
}

export const gaveUp = (): CofferdamError =>
  new CofferdamError(
    'unavailable',
    'the migration was cancelled as requested: the unfinished part is undone, and the next migration goes on from there',
  );

/**
 * Returns when this connection holds the lock of all migrations. Throws `unavailable` when it waited for `waitMs`, with
 * the process that holds the lock, and when it was cancelled.
 */
export async function takeMigrationLock(
  client: pg.Client,
  { waitMs = defaultWaitMs, signal, tell }: MigrationOptions,
): Promise<void> {
  let said = Number.NEGATIVE_INFINITY;
  for (const end = performance.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, lookEveryMs))) {
    if (signal?.aborted === true) throw gaveUp();
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [
      advisoryLocks.migration,
    ]);
    if (rows[0]?.held === true) return;
    const who = described(await holdersOfMigration(client));
    if (performance.now() > end)
      throw new CofferdamError(
        'unavailable',
        `another migration of this database did not end within ${waitMs / 1000} s: its lock is held by ${who}. Wait for it, or end it, and try again`,
      );
    if (performance.now() - said < sayEveryMs) continue;
    said = performance.now();
    tell?.(`waiting for another migration of this database: ${who}`);
  }
}

export type Watch = {
  /** The processes for which a statement waited last, or undefined when none was seen. */
  readonly blockers: string | undefined;
  stop(): Promise<void>;
};

/**
 * Looks, over a connection of its own, for which processes the migrating connection waits, and cancels that
 * connection's statement when the migration is cancelled.
 */
export function watchMigration(watcher: pg.Client, pid: number, { signal, tell }: MigrationOptions): Watch {
  let blockers: string | undefined;
  let said = Number.NEGATIVE_INFINITY;
  const look = async (): Promise<void> => {
    // At every look until the watch is stopped: what is cancelled between two statements goes on with the next one.
    if (signal?.aborted === true) await watcher.query('select pg_cancel_backend($1)', [pid]);
    const holders = await blockersOf(watcher, pid);
    if (holders.length === 0) return;
    blockers = described(holders);
    if (performance.now() - said < sayEveryMs) return;
    said = performance.now();
    tell?.(`waiting for a lock that is held by ${blockers}`);
  };
  let isBusy = false;
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    // A failure of the watcher does not end the migration. Without the watcher a wait still ends at its limit, only
    // without the name of a process.
    running = held(
      look()
        .catch(() => {})
        .finally(() => (isBusy = false)),
    );
  }, lookEveryMs);
  return {
    get blockers() {
      return blockers;
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
