// Owns: the advisory locks of the installation's database: which process takes which lock, and their numbers.
// PostgreSQL keeps the advisory locks of each database apart. Every role that may connect may take them, so they order
// what honest processes do and protect nothing (SECURITY, "Known limits"). Functions of the database take two more
// locks, whose keys are hashes: `ledger_month` locks the name of a table while it creates the table, and placing or
// honouring a legal hold locks its customer (`migrations/functions/holds.sql`). In which order a transaction takes
// these locks and those of rows is said in `lock-order.ts`.
// Must never: use one number for two purposes.

/** The keys of `pg_advisory_lock(bigint)`: four letters of ASCII as a number. */
export const advisoryLocks = {
  /** `migr`: held by one migration as long as its connection lives. */
  migration: 0x6d696772,
  /** `lead`: held by the warden whose sealer leads, on a connection of its own. */
  sealerLeadership: 0x6c656164,
  /**
   * `sess`: held by a transaction that opens a session, so that two wardens cannot count sessions at the same time
   * without seeing each other's; and by a transaction that withdraws something on which sessions rely.
   */
  sessionOpening: 0x73657373,
  /** `boot`: held by the transaction that creates the first operators. */
  bootstrap: 0x626f6f74,
} as const;

/**
 * The first keys of `pg_advisory_lock(integer, integer)`; the second key is the hash of a name. Such a lock never
 * conflicts with a lock that has one key.
 */
export const namedAdvisoryLocks = {
  /**
   * `test`: held by a transaction that creates or changes the account of a node's self-test. The name is that of the
   * account.
   */
  selfTest: 0x74657374,
} as const;

/**
 * Returns a condition on `pg_locks l` that selects the processes that hold the lock with this one key. `parameter` is
 * the placeholder of the key.
 */
export const holdsAdvisoryLock = (parameter: string): string =>
  `l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid::bigint = 0 and l.objid::bigint = ${parameter}::bigint
     and l.database = (select d.oid from pg_database d where d.datname = current_database())`;
