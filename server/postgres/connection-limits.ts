// Owns: how many of the server's connections each process keeps, how many each role may have, and for whom the reserve of the server is kept.
// Must never: give one role, or a stranger with a password, what the warden needs.
import { type Shares, wardenConnections } from '../config/shares.ts';

/** Connections of a process that no line of the table of shares counts, by what they are called at the server. */
export const connections = {
  /** One for each of the warden's channels: ended sessions, commands, answers. */
  wardenListeners: 3,
  /** One for each kind of charge and plane. */
  charges: 6,
  sealer: 2,
  sealerLeads: 1,
  /** Tables of months, and months that leave. */
  archives: 1,
  /** For all forwards together. */
  forwarder: 2,
  adminListener: 1,
  /** A question that is given up is ended over a connection of its own. */
  adminCancels: 1,
} as const;

/** What the questions about the record may use: two looks each, a long look one, and one for what is short. */
export const incidentConnections = ({ questions, searches }: Pick<Shares['admin'], 'questions' | 'searches'>): number =>
  2 * questions.total + searches.total + 1;

/** The most that one warden, and that the admin process, has open at once. */
export function connectionsOf({ warden, admin }: Shares, forwards: number): { readonly warden: number; readonly admin: number } {
  const { wardenListeners, charges, sealer, sealerLeads, archives, forwarder, adminListener, adminCancels } = connections;
  return {
    warden: wardenConnections(warden) + wardenListeners + charges + sealer + sealerLeads + archives + (forwards > 0 ? forwarder : 0),
    admin: admin.transactions.total + adminListener + incidentConnections(admin) + adminCancels,
  };
}

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
