// Owns: how many of the server's connections each process keeps open, how many each role may have, and for whom the
// server's reserved connections are kept.
// Must never: give one role, or an outsider who has a password, the connections that the warden needs.
import { type Shares, wardenConnections } from '../config/shares.ts';

/**
 * The connections that no line of the table of shares counts. Each name stands for one application name at the server.
 */
export const connections = {
  /** One for each channel on which the warden listens: ended sessions, commands, answers. */
  wardenListeners: 3,
  /** Of the warden's pool: for the searches of regular passes. */
  looks: 2,
  /** One for each combination of a kind of charge and a plane. */
  charges: 6,
  sealer: 2,
  sealerLeads: 1,
  /** For creating the tables of months to come, and for moving old months into archives. */
  archives: 1,
  /** For all forwards together. */
  forwarder: 2,
  adminListener: 1,
  /** A question that is given up is cancelled over a connection of its own. */
  adminCancels: 1,
} as const;

/**
 * Returns how many connections the questions about the record may use: two snapshots for each incident question, one
 * for each long search, and one for short queries.
 */
export const incidentConnections = ({ questions, searches }: Pick<Shares['admin'], 'questions' | 'searches'>): number =>
  2 * questions.total + searches.total + 1;

/** Returns the largest number of connections that one warden, and the admin process, have open at once. */
export function connectionsOf(
  { warden, admin }: Shares,
  forwards: number,
): { readonly warden: number; readonly admin: number } {
  const { wardenListeners, looks, charges, sealer, sealerLeads, archives, forwarder, adminListener, adminCancels } =
    connections;
  return {
    warden:
      wardenConnections(warden) +
      wardenListeners +
      looks +
      charges +
      sealer +
      sealerLeads +
      archives +
      (forwards > 0 ? forwarder : 0),
    admin: admin.transactions.total + adminListener + incidentConnections(admin) + adminCancels,
  };
}

/** Shares of `max_connections`. The warden has no limit of its own, because several wardens work with one database. */
const parts = { admin: 0.4, auditor: 0.1 } as const;
/**
 * The connections that the admin process needs by the table of shares, with a few more for reports; and those of the
 * auditor.
 */
const leastConnections = { admin: 24, auditor: 4 } as const;

/**
 * Returns the `connection limit` of a role; -1 means none. PostgreSQL counts a connection here only when its password
 * was right.
 */
export function connectionLimit(role: 'warden' | 'admin' | 'auditor', maxConnections: number): number {
  if (role === 'warden') return -1;
  return Math.max(leastConnections[role], Math.floor(maxConnections * parts[role]));
}

/**
 * The role whose members may use the connections that `reserved_connections` keeps, and the first version of PostgreSQL
 * that has it (16).
 */
export const reserveRole = 'pg_use_reserved_connections';
export const reserveVersion = 160_000;
