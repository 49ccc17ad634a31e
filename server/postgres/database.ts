// Owns: the pool of connections, transactions in the scope of customers, and notifications. Only this folder imports
// `pg`.
// Must never: run a query outside a transaction that has set its scope (except on connections that only read and have
// one themselves), or put a value into SQL text (except the quoted
// scope).
import pg from 'pg';
import { detach, givenUp } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { CustomerId } from '../domain/ids.ts';
import type { Draft, End } from '../domain/ledger/births.ts';
import type { AlertSink } from '../domain/raised-alert.ts';
import { beginTransaction, type Condition } from './beginning.ts';
import { connections } from './connection-limits.ts';
import { connectionSettings, lookingSettings, plainSettings, requireOurSettings } from './connection-settings.ts';
import { deadlock, lockNotAvailable, noLongerFits, sqlState, translate } from './database-errors.ts';
import { drafting } from './drafts.ts';
import { endOf } from './ending.ts';
import { listenTo } from './listening.ts';
import { deadlockTriesMax, lockMsOf, lockPauseMs, type TransactionPlace, type Tries } from './lock-patience.ts';
import { type Afterwards, asWork, leaveForAfterwards, requireOutermost } from './nesting.ts';
import {
  beginningOf,
  beginSnapshot,
  besideEachOther,
  eachRow,
  type SharedSnapshot,
  type Snapshot,
  type SnapshotOptions,
  within,
} from './snapshot.ts';

// An int8 becomes a number. Every bigint of the schema stays below 2^53 (sizes, totals, ids), and that is checked when
// a value arrives.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new CofferdamError('bug', 'a database number is out of range');
  return value;
});

export type Row = Readonly<Record<string, unknown>>;
export type Transaction = {
  /** Returns the rows of one parameterised statement. `values` are sent as parameters, never as text. */
  query<T extends Row>(text: string, values?: readonly unknown[]): Promise<readonly T[]>;
};

export type DatabaseOptions = {
  readonly url: string;
  readonly applicationName: string;
  readonly connectionsMax: number;
  /** Checks a new connection before anything else may use it. When it throws, the connection is closed. */
  readonly admit?: (tx: Transaction) => Promise<void>;
  /**
   * Returns a place for a transaction, among everything that this pool serves. When it throws, the transaction fails.
   */
  readonly admission?: () => Promise<TransactionPlace>;
  /**
   * Whether statements are parsed and planned once for each connection, for a process that runs a few statements very
   * often. Reports do not use it, because their best plan depends on their values. A prepared plan outlives the
   * contents of the tables for which it was made, and many tables are empty most of the time, so such plans use an
   * index wherever there is one.
   */
  readonly isPreparing?: boolean;
  /**
   * The limit of one statement in milliseconds, in the place of the usual one. It changes no other setting of a
   * connection.
   */
  readonly statementMs?: number;
  /** Whether its connections only read, each statement by itself, and see every customer. See `looking`. */
  readonly isLooking?: boolean;
  /**
   * Begins the draft of a transaction's entries. Without it, nobody watches whether the entries that are written here
   * get sealed.
   */
  readonly drafts?: () => Draft;
  /** Hears the alerts of each transaction that was not undone. Without it only their rows tell of them. */
  readonly alerts?: AlertSink | undefined;
  /** Hears why the server gave no connection, in its own words, at most each `unreachableEveryMs`. */
  readonly onUnreachable?: (cause: unknown) => void;
};

type Held = {
  readonly client: pg.PoolClient;
  readonly place: TransactionPlace | undefined;
  readonly giveBack: (broken: Error | boolean | undefined) => void;
};

/** Statements beyond this number stay unprepared, because each costs every connection some memory. */
const preparedMax = 500;
const unreachableEveryMs = 10_000;

/**
 * A pool of connections. After an error of the connection the outcome is unknown: nothing may be released or
 * acknowledged on it.
 */
export class Database {
  readonly #pool: pg.Pool;
  readonly #endPool: () => Promise<void>;
  readonly #options: DatabaseOptions;
  readonly #listeners = new Set<{ stop: () => Promise<void> }>();
  readonly #admitted = new WeakSet<pg.PoolClient>();
  readonly #names = new Map<string, string>();
  #looks: Database | undefined;
  #unreachableTold = Number.NEGATIVE_INFINITY;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.connectionsMax,
      connectionTimeoutMillis: 5000,
      idleTimeoutMillis: 60_000,
      options: [
        connectionSettings(options.isPreparing === true, options.statementMs),
        ...(options.isLooking === true ? [lookingSettings] : []),
      ].join(' '),
    });
    this.#endPool = endOf(this.#pool);
  }

  /**
   * Runs `work` in one read-committed transaction that sees exactly these customers. When locks prevent it, `work` runs
   * again from its start. When `work` throws, the transaction is rolled back.
   */
  async withCustomers<T>(
    scope: readonly CustomerId[],
    work: (tx: Transaction) => Promise<T>,
    condition?: Condition,
  ): Promise<T> {
    requireOutermost(this.#pool);
    if (scope.length === 0) throw new CofferdamError('bug', 'empty customer scope');
    return this.#patiently((tries) =>
      this.#untangled(() => this.#transaction(scope.join(','), work, tries, 'begin', condition)),
    );
  }

  /**
   * Runs a transaction again after a deadlock. Two transactions may need the same rows in opposite order (renaming a to
   * b and b to a; ending a session and closing its files). The server aborts one of them, and that one runs again from
   * its start. Throws `conflict` after `deadlockTriesMax` attempts.
   */
  async #untangled<T>(run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await run();
      } catch (error) {
        if (sqlState(error) !== deadlock) throw error;
        if (tries === deadlockTriesMax)
          throw new CofferdamError('conflict', 'somebody else is changing the same; try again', {
            cause: error instanceof CofferdamError ? error.cause : error,
          });
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * tries));
      }
    }
  }

  /**
   * Runs a transaction again when it did not get a lock in time. Nothing of it has happened, and others use the
   * connection meanwhile.
   */
  async #patiently<T>(run: (tries: Tries) => Promise<T>): Promise<T> {
    const began = performance.now();
    const tries: Tries = { count: 0, patienceMs: 0 };
    for (;;) {
      try {
        return await run(tries);
      } catch (error) {
        if (sqlState(error) !== lockNotAvailable || performance.now() - began >= tries.patienceMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, lockPauseMs * (0.5 + Math.random())));
      }
    }
  }

  /**
   * Runs `work` in a transaction that sees every customer: for login, sweeps and commands. `work` may run again from
   * its start.
   */
  async withSystem<T>(work: (tx: Transaction) => Promise<T>, condition?: Condition): Promise<T> {
    requireOutermost(this.#pool);
    return this.#patiently((tries) => this.#untangled(() => this.#transaction('*', work, tries, 'begin', condition)));
  }

  /**
   * Runs `say` for the alarm of a refusal inside a transaction, which would otherwise be rolled back with it. `say` has
   * a transaction of its own, after the other one was rolled back and has returned its place, or at once when there is
   * no transaction around it. When `say` returns an error, that error is thrown in the place of the refusal.
   */
  async onceUndone(say: Afterwards): Promise<void> {
    if (leaveForAfterwards(this.#pool, say)) return;
    const error = await this.withSystem(say);
    if (error instanceof Error) throw error;
  }

  /**
   * Returns a draft for the entries of one call. It is begun before the call is sent, and ended when the answer has
   * arrived.
   */
  beginDraft(): Draft | undefined {
    return this.#options.drafts?.();
  }

  /**
   * Runs one autocommitted call of a database function that sets its own scope. Resolves only after the commit
   * (ReadyForQuery).
   */
  async call<T extends Row>(text: string, values: readonly unknown[]): Promise<readonly T[]> {
    requireOutermost(this.#pool);
    return this.#untangled(() => this.#callOnce<T>(text, values));
  }

  async #callOnce<T extends Row>(text: string, values: readonly unknown[]): Promise<readonly T[]> {
    const { client, giveBack } = await this.#connect();
    let broken: Error | undefined;
    // A connection that dies reports that on the client as well as on the query.
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    try {
      return await this.#query(client)<T>(text, values);
    } catch (error) {
      const known = translate(error);
      if ((known instanceof CofferdamError && known.code === 'unavailable') || noLongerFits(error))
        broken = error as Error;
      throw known;
    } finally {
      client.off('error', onError);
      giveBack(broken);
    }
  }

  /**
   * Runs `work`, which reads what every customer has and changes nothing, for what is asked again and again and mostly
   * answered with nothing. Each statement is by itself and costs one round trip, where a transaction costs three. The
   * connections are of their own, because what they see is a setting of the connection.
   */
  async looking<T>(work: (look: Transaction) => Promise<T>): Promise<T> {
    const { admission: _admission, ...options } = this.#options;
    const applicationName = `${options.applicationName} looks`;
    this.#looks ??= new Database({ ...options, applicationName, connectionsMax: connections.looks, isLooking: true });
    const looks = this.#looks;
    return work({ query: (text, values = []) => looks.call(text, values) });
  }

  /**
   * Runs `work` with one read-only snapshot of everything, for long reports. It ends early when `signal` is aborted.
   */
  async withSnapshot<T>(options: SnapshotOptions, work: (snapshot: SharedSnapshot) => Promise<T>): Promise<T> {
    requireOutermost(this.#pool);
    return this.#look(options, undefined, (lone, cancel) =>
      work({
        ...lone,
        beside: async (mine, theirs) => {
          const [exported] = await lone.query<{ name: string }>('select pg_export_snapshot() as name');
          const failure = new AbortController();
          const signal = AbortSignal.any([options.signal, failure.signal]);
          return besideEachOther(
            () => mine(within(signal, lone)),
            () => this.#look({ ...options, signal }, exported?.name, theirs),
            (error) => {
              failure.abort(error);
              cancel();
            },
          );
        },
      }),
    );
  }

  #look<T>(
    options: SnapshotOptions,
    exported: string | undefined,
    work: (snapshot: Snapshot, cancel: () => void) => Promise<T>,
  ): Promise<T> {
    return this.#transaction(
      '*',
      async (tx, client) => {
        const pid = await beginSnapshot(tx, options);
        const cancel = (): void => detach(this.#cancel(pid), givenUp);
        options.signal.addEventListener('abort', cancel);
        try {
          options.signal.throwIfAborted();
          const each: Snapshot['each'] = (text, values, onRow) => eachRow(client, text, values, onRow, cancel);
          return await work(within(options.signal, { ...tx, each }), cancel);
        } finally {
          options.signal.removeEventListener('abort', cancel);
        }
      },
      { count: 0, patienceMs: 0 },
      beginningOf(exported),
    );
  }

  /** Returns the name under which a statement is prepared on each connection, or undefined when it is not prepared. */
  #nameOf(text: string): string | undefined {
    const known = this.#names.get(text);
    if (known !== undefined || this.#options.isPreparing !== true || this.#names.size >= preparedMax) return known;
    const name = `s${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }

  #query(client: pg.PoolClient): Transaction['query'] {
    return async (text, values) => {
      const name = values === undefined ? undefined : this.#nameOf(text);
      return (
        await client.query(
          name === undefined ? { text, values: values as unknown[] } : { name, text, values: values as unknown[] },
        )
      ).rows;
    };
  }

  /**
   * Cancels the statement of a server process, over a connection of its own: it must not wait for the ones that it is
   * meant to free.
   */
  async #cancel(pid: number): Promise<void> {
    const { url, applicationName } = this.#options;
    const client = new pg.Client({
      connectionString: url,
      application_name: `${applicationName} cancel`,
      options: plainSettings,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('select pg_cancel_backend($1)', [pid]);
    } finally {
      await client.end();
    }
  }

  #transaction<T>(
    scope: string,
    work: (tx: Transaction, client: pg.PoolClient) => Promise<T>,
    tries: Tries,
    begin = 'begin',
    condition?: Condition,
  ): Promise<T> {
    return asWork(
      this.#pool,
      (requireUnrefused) => this.#oneTransaction(scope, work, tries, { begin, condition }, requireUnrefused),
      (say) => this.withSystem(say),
    );
  }

  async #oneTransaction<T>(
    scope: string,
    work: (tx: Transaction, client: pg.PoolClient) => Promise<T>,
    tries: Tries,
    { begin, condition }: { readonly begin: string; readonly condition: Condition | undefined },
    requireUnrefused: () => void,
  ): Promise<T> {
    const { client, place, giveBack } = await this.#connect();
    tries.count += 1;
    tries.patienceMs = place?.patienceMs ?? 0;
    const lockMs = lockMsOf(place, tries.count);
    let broken: Error | undefined;
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    const draft = this.#options.drafts?.();
    const drafted = drafting({ query: this.#query(client) }, draft, this.#options.alerts);
    let end: End = 'undone';
    try {
      await beginTransaction(client, { begin, scope, lockMs, condition });
      const result = await work(drafted.tx, client);
      requireUnrefused();
      draft?.requireWritten();
      end = 'unknown';
      // When a statement in the transaction has failed and the work continued all the same, the server answers the
      // commit with ROLLBACK.
      end = (await client.query('commit')).command === 'COMMIT' ? 'committed' : 'undone';
      return result;
    } catch (error) {
      if (broken === undefined) await client.query('rollback').catch((failed: Error) => (broken = failed));
      if (noLongerFits(error)) broken ??= error as Error;
      throw translate(error);
    } finally {
      client.off('error', onError);
      drafted.end(end);
      giveBack(broken);
    }
  }

  /**
   * Takes a place first and a connection second, so that a transaction that waits for a place holds nothing for which
   * others wait.
   */
  async #connect(): Promise<Held> {
    const place = await this.#options.admission?.();
    try {
      const client = await this.#admittedClient();
      return {
        client,
        place,
        giveBack: (broken) => {
          client.release(broken);
          place?.release();
        },
      };
    } catch (error) {
      place?.release();
      throw error;
    }
  }

  #tellUnreachable(cause: unknown): void {
    if (performance.now() - this.#unreachableTold <= unreachableEveryMs) return;
    this.#unreachableTold = performance.now();
    this.#options.onUnreachable?.(cause);
  }

  async #admittedClient(): Promise<pg.PoolClient> {
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (cause) {
      this.#tellUnreachable(cause);
      throw new CofferdamError('unavailable', 'the database cannot be reached', { cause });
    }
    const { admit } = this.#options;
    if (this.#admitted.has(client)) return client;
    const onError = (): void => {};
    client.on('error', onError);
    try {
      await requireOurSettings(this.#query(client)).catch((error: unknown) => {
        this.#tellUnreachable(error);
        throw error;
      });
      await admit?.({ query: this.#query(client) });
      this.#admitted.add(client);
      return client;
    } catch (error) {
      client.release(true);
      throw translate(error);
    } finally {
      client.off('error', onError);
    }
  }

  /**
   * Calls `onNotify` for each notification on `channel`, and `onReconnect` after each connection, the first one
   * included, because notifications may have been missed before it. Reconnects for ever, with pauses of 500 ms, until
   * the returned function is called.
   */
  async listen(
    channel: string,
    onNotify: (payload: string) => void,
    onReconnect: () => void,
  ): Promise<() => Promise<void>> {
    const { url, applicationName } = this.#options;
    const stop = await listenTo({ url, applicationName: `${applicationName} listen`, channel, onNotify, onReconnect });
    const entry = {
      stop: async (): Promise<void> => {
        this.#listeners.delete(entry);
        await stop();
      },
    };
    this.#listeners.add(entry);
    return entry.stop;
  }

  async close(): Promise<void> {
    for (const listener of [...this.#listeners]) await listener.stop();
    await this.#looks?.close();
    await this.#endPool();
  }
}
