// Owns: the advisory locks of the installation's database: who takes which, and their numbers.
// Must never: give one number to two purposes. PostgreSQL keeps the locks of each database apart; any role that may connect may take them, so that they
// order what honest processes do and protect nothing (SECURITY, "Known limits"). Functions of the database take two more, each of a hash: `ledger_month` of a
// table's name while it is made, and holds of a customer (`migrations/0015_whole_contents.sql`).

/** Keys of `pg_advisory_lock(bigint)`: four letters of ASCII as a number. */
export const advisoryLocks = {
  /** `migr`: held by one migration for as long as its connection lives. */
  migration: 0x6d696772,
  /** `lead`: held by the warden whose sealer leads, on a connection of its own. */
  sealerLeadership: 0x6c656164,
  /** `sess`: held by a transaction that opens a session, so that two wardens never count past each other; and by one that withdraws what sessions rely on. */
  sessionOpening: 0x73657373,
  /** `boot`: held by the transaction that makes the first operators. */
  bootstrap: 0x626f6f74,
} as const;

/** First key of `pg_advisory_lock(integer, integer)`, whose second one is the hash of a name. They never meet a lock of one key. */
export const namedAdvisoryLocks = {
  /** `test`: held by a transaction that makes or changes the account of a node's self-test; the name is the account's. */
  selfTest: 0x74657374,
} as const;

/** Processes that hold the lock of one key, as a condition on `pg_locks l`; `parameter` stands for the key. */
export const holdsAdvisoryLock = (parameter: string): string =>
  `l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid::bigint = 0 and l.objid::bigint = ${parameter}::bigint
     and l.database = (select d.oid from pg_database d where d.datname = current_database())`;
