// Owns: watching the locks of a process: `node --import` loads this file before a test, and before the roles of the
// gateways that a test starts. It looks at the text of every statement that goes through the pools of
// `server/postgres`, and asks PostgreSQL after those that may have taken an advisory lock. Whatever is against the
// list of locks is written into the directory COFFERDAM_TEST_LOCKS, where `test/run.ts` finds it.
// Must never: change what a statement does or returns, or watch connections that are not the product's.
import childProcess, { type SpawnOptions } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import pg from 'pg';
import { advisoryLocks, namedAdvisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { LockSequence, nextOperation, type TakenLock } from './lock-sequence.ts';
import { lockReader } from './lock-texts.ts';

type HeldLock = { readonly high: number; readonly low: number; readonly kind: number; readonly is: string };
type Query = (this: pg.Client, ...args: unknown[]) => unknown;

/**
 * `kind` is 1 for a key of 64 bits and 2 for two keys. Entries of virtual transactions and of other sessions are left
 * out.
 */
const heldLocks = `select classid::bigint::float8 as high, objid::bigint::float8 as low, objsubid as kind, concat_ws('/', classid, objid, objsubid) as is
  from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()`;

function nameOf({ high, low, kind }: HeldLock): string {
  if (kind === 2)
    return Object.entries(namedAdvisoryLocks).find(([, key]) => key === high)?.[0] ?? `of the key ${high}`;
  const known = high === 0 ? Object.entries(advisoryLocks).find(([, key]) => key === low)?.[0] : undefined;
  // The key of a month is a hash of 32 bits with a sign, that of a hold one of 64 bits.
  return known ?? (high === 0 || high === 0xffff_ffff ? 'ledgerMonth' : 'hold');
}

/**
 * The pools of the product set a limit for each statement; the connections of tests, and those that only listen, do
 * not.
 */
const isOfPool = (client: pg.Client): boolean =>
  String(
    (client as unknown as { connectionParameters?: { options?: unknown } }).connectionParameters?.options,
  ).includes('statement_timeout');

/** Where in the product the statement comes from, the innermost place first. */
function places(): string {
  const lines = (new Error().stack ?? '')
    .split('\n')
    .flatMap((line) => /\/(server\/(?!postgres)[^)]*)/.exec(line)?.[1] ?? []);
  return lines.slice(0, 3).join(' < ');
}

const endsInLock = /\bfor\s+(?:no\s+key\s+update|update|key\s+share|share)(?:\s+of\s+\w+)?\s*$/i;

/**
 * Returns whether a statement locks a row that is not locked yet. Another connection looks which of the rows are free:
 * the others are those that the transaction holds already. Returns true for a statement of which that cannot be asked.
 */
async function locksMore(client: pg.Client, text: string, values: unknown): Promise<boolean> {
  if (!endsInLock.test(text)) return true;
  const { host, port, user, password, database } = client;
  const beside = new pg.Client({ host, port, user, database, ...(password === undefined ? {} : { password }) });
  beside.on('error', () => {});
  try {
    await beside.connect();
    await beside.query("begin; select set_config('cofferdam.customers', '*', true)");
    return (await beside.query(`${text} skip locked`, values as unknown[])).rows.length > 0;
  } catch {
    return true;
  } finally {
    await beside.end();
  }
}

function watchPools(directory: string): void {
  const read = lockReader();
  const sequences = new WeakMap<pg.Client, { readonly locks: LockSequence; isOpen: boolean }>();
  const told = new Set<string>();
  const original = pg.Client.prototype.query as unknown as Query;

  function tell(fault: string, at: string): void {
    if (told.has(`${fault} ${at}`)) return;
    told.add(`${fault} ${at}`);
    appendFileSync(join(directory, String(process.pid)), `${fault}: ${at}\n`);
  }

  function take(locks: LockSequence, lock: TakenLock, at: string): void {
    const fault = locks.faultOf(lock);
    if (fault !== undefined) tell(fault, at);
    locks.take(lock);
  }

  async function askForAdvisory(client: pg.Client, locks: LockSequence, at: string): Promise<void> {
    const { rows } = (await original.call(client, heldLocks)) as { readonly rows: readonly HeldLock[] };
    for (const row of rows) take(locks, { on: `advisory ${nameOf(row)}`, waits: true, is: row.is }, at);
  }

  const query: Query = function (...args) {
    const [first, second] = args;
    const given =
      typeof first === 'object' && first !== null
        ? (first as { text?: unknown; values?: unknown })
        : { text: first, values: second };
    const { text, values } = given;
    if (typeof text !== 'string' || typeof args.at(-1) === 'function' || !isOfPool(this))
      return original.apply(this, args);
    const state = sequences.get(this) ?? { locks: new LockSequence(), isOpen: false };
    sequences.set(this, state);
    const { locks } = state;
    const [, verb = '', name = ''] =
      /^\s*(begin|commit|rollback to savepoint|rollback|savepoint)\b\s*(\w*)/i.exec(text) ?? [];
    if (verb === 'begin' || verb === 'commit' || verb === 'rollback') {
      locks.clear();
      state.isOpen = verb === 'begin';
    } else if (verb === 'savepoint') locks.savepoint(name);
    else if (verb === 'rollback to savepoint') locks.rollbackTo(name);
    if (text === nextOperation) locks.startOver();
    const stated = read(text);
    if (stated.locks.length === 0 && !stated.mayBeAdvisory) return original.apply(this, args);
    const at = places();
    const run = (): unknown => {
      const answered = original.apply(this, args);
      if (!state.isOpen) locks.clear();
      if (!state.isOpen || !stated.mayBeAdvisory) return answered;
      return (answered as Promise<unknown>).then(async (answer) => {
        await askForAdvisory(this, locks, at);
        return answer;
      });
    };
    const taken = stated.locks.map(({ on, waits }) => ({ on, waits, is: `${text} ${JSON.stringify(values)}` }));
    const faults = taken.flatMap((lock) => {
      const fault = locks.faultOf(lock);
      locks.take(lock);
      return fault ?? [];
    });
    if (faults.length === 0) return run();
    return locksMore(this, text, values).then((isMore) => {
      if (isMore) for (const fault of faults) tell(fault, at);
      return run();
    });
  };
  Object.assign(pg.Client.prototype, { query });
}

/** The roles of a gateway get an environment of their own, and pools that are watched like those of the test itself. */
function watchRoles(directory: string): void {
  const { spawn } = childProcess;
  const watched = (
    program: string,
    args: readonly string[] = [],
    options: SpawnOptions = {},
  ): ReturnType<typeof spawn> => {
    const main = args.findIndex((one) => one.endsWith('server/main.ts'));
    const role = main < 0 ? undefined : args[main + 1];
    if (role !== 'up' && role !== 'warden' && role !== 'admin') return spawn(program, args, options);
    const before = args.slice(0, main).indexOf('--import');
    const at = before < 0 ? main : before;
    const env = { ...(options.env ?? process.env), COFFERDAM_TEST_LOCKS: directory };
    return spawn(program, [...args.slice(0, at), '--import', import.meta.filename, ...args.slice(at)], {
      ...options,
      env,
    });
  };
  Object.assign(childProcess, { spawn: watched });
  syncBuiltinESMExports();
}

const directory = process.env.COFFERDAM_TEST_LOCKS;
if (isMainThread && directory !== undefined) {
  watchPools(directory);
  watchRoles(directory);
}
