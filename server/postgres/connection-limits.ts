// Owns: how many of the server's connections each role may have, and for whom the reserve of the server is kept.
// Must never: give one role, or a stranger with a password, what the warden needs.

/** Parts of `max_connections`. The warden has no bound of its own: several of them work on one database. */
const parts = { admin: 0.4, auditor: 0.1 } as const;
/** What the admin process needs by the table of shares, and a few for reports. */
const leastConnections = { admin: 24, auditor: 4 } as const;

/** `connection limit` of a role; -1: none. A connection counts here only when its password was right. */
export function connectionLimit(role: 'warden' | 'admin' | 'auditor', maxConnections: number): number {
  if (role === 'warden') return -1;
  return Math.max(leastConnections[role], Math.floor(maxConnections * parts[role]));
}

/** Its member takes what `reserved_connections` keeps (PostgreSQL 16 and newer). */
export const reserveRole = 'pg_use_reserved_connections';
export const reserveVersion = 160_000;
