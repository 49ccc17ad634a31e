// Owns: what a migration waits for: the one lock of all migrations of a database, and locks of tables that somebody else holds; both bounded, with the
// name of whoever holds them, and both given up when the operator says so.
// Must never: end a process of somebody else's.
import type pg from 'pg';
import { held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import { advisoryLocks, holdsAdvisoryLock } from './advisory-locks.ts';

const lookEveryMs = 500;
const sayEveryMs = 5000;

export type MigrationOptions = {
  /** For the lock of all migrations, and for each lock of a table, milliseconds. */
  readonly waitMs?: number;
  /** Gives up: what runs is cancelled, its transaction undone, and nothing more begins. */
  readonly signal?: AbortSignal;
  /** Hears at once, and every five seconds, what is waited for and who holds it. One line, without an end of line. */
  readonly tell?: (line: string) => void;
  /** False only for schemas that are not those of a version: the one that the expected catalogue is written from, and halves of one in tests. */
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
    'the migration was given up as it was told: what was not finished is undone, and the next one goes on from there',
  );

/** Returns when this connection holds the lock of all migrations. Throws `unavailable` after `waitMs`, with whoever holds it, and when it is given up. */
export async function takeMigrationLock(client: pg.Client, { waitMs = defaultWaitMs, signal, tell }: MigrationOptions): Promise<void> {
  let said = Number.NEGATIVE_INFINITY;
  for (const end = performance.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, lookEveryMs))) {
    if (signal?.aborted === true) throw gaveUp();
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [advisoryLocks.migration]);
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
  /** Who stood in the way when a statement waited last; undefined: nobody was seen. */
  readonly blockers: string | undefined;
  stop(): Promise<void>;
};

/** Looks, over a connection of its own, whom the migrating one waits for, and cancels its statement when it is given up. */
export function watchMigration(watcher: pg.Client, pid: number, { signal, tell }: MigrationOptions): Watch {
  let blockers: string | undefined;
  let said = Number.NEGATIVE_INFINITY;
  let isCancelled = false;
  const look = async (): Promise<void> => {
    if (signal?.aborted === true && !isCancelled) {
      isCancelled = true;
      await watcher.query('select pg_cancel_backend($1)', [pid]);
    }
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
    // Whoever watches is no condition for what is watched: without it a wait ends at its bound, and nobody is named.
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
