// Owns: the type of the one frozen configuration value that every role receives. load.ts beside this file parses it.
import type { ProfileName } from '../domain/algorithms.ts';
import type { Plane } from '../domain/ids.ts';
import { nodePart } from '../domain/path-parts.ts';
import type { CredentialAges } from './credential-ages.ts';
import type { BudgetDefaults } from './default-budgets.ts';
import type { LedgerConfig } from './ledger-settings.ts';
import type { NodeAllowances } from './node-allowances.ts';
import type { Shares } from './shares.ts';

export type EdgeConfig = {
  readonly node: string;
  readonly plane: Plane;
  readonly host: string;
  readonly port: number;
  /** The profile of algorithms of this listener. */
  readonly profile: ProfileName;
  /**
   * Addresses or networks of load balancers. A connection from one of them must begin with a PROXY protocol header, and
   * no other connection may.
   */
  readonly balancers: readonly string[];
};

export type SystemUsers = {
  /**
   * The system user of each edge, by node name. Two edges never share a user, not even on different planes, because
   * processes of one user can control each other.
   */
  readonly edges: Readonly<Record<string, string>>;
  readonly warden: string;
  readonly store: string;
  readonly admin: string;
  readonly database: string;
};

export type Config = {
  /** `development` allows that roles share a system user, and that secrets are generated below `runtimeDirectory`. */
  readonly mode: 'development' | 'production';
  /** Whether the demo world exists. It exists only without a configuration file, and only on loopback. */
  readonly demo: boolean;
  /**
   * An absolute path. Everything that the gateway writes is below it: run/ (sockets), store/, secrets/, certs/,
   * witness/, archive/, and postgres/ of the embedded server. The configuration may put the store, the archive and
   * witnesses elsewhere.
   */
  readonly runtimeDirectory: string;
  readonly storeDirectory: string;
  readonly edges: readonly EdgeConfig[];
  readonly database: {
    /** Whether the supervisor runs PostgreSQL 18 below `runtimeDirectory`. */
    readonly embedded: boolean;
    /**
     * The connection strings of the roles. A string is null when this process must not have it, or when the embedded
     * server provides it.
     */
    readonly migrateUrl: string | null;
    /** The server and the database without credentials. A role adds its own name and its generated password. */
    readonly serverUrl: string | null;
    readonly wardenUrl: string | null;
    readonly adminUrl: string | null;
  };
  /**
   * Where operators are served in addition to the unix socket. Only loopback is allowed; after the start of the process
   * it is a literal address.
   */
  readonly admin: { readonly tcp: { readonly host: string; readonly port: number } | null };
  readonly metrics: { readonly wardenPort: number | null; readonly edgePorts: readonly number[] };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'; readonly pretty: boolean };
  /** The text that every client is shown before it logs in. */
  readonly banner: string;
  /** Sources that get no penalties, such as monitoring and loopback. */
  readonly penaltyExempt: readonly string[];
  /** Whether the product may start without ssh2's native cipher. */
  readonly allowSlowCipher: boolean;
  /**
   * The system users that separate the roles: one for each role and one for each edge. Present when the product was
   * started by root.
   */
  readonly users: SystemUsers | null;
  readonly limits: Limits;
  /** How much one edge may make the warden store; see node-allowances.ts. */
  readonly perNode: NodeAllowances;
  /** How much every scope may use from its creation on; see default-budgets.ts. */
  readonly budgets: BudgetDefaults;
  readonly credentials: CredentialAges;
  readonly ledger: LedgerConfig;
  /**
   * How much one node, one person and one plane may use of the resources of the warden and the admin process; see
   * shares.ts.
   */
  readonly shares: Shares;
};

/** The limits of all queues, maps, buffers, lists, strings and timers of the product. */
export type Limits = {
  readonly connectionsMax: number;
  readonly unauthenticatedConnectionsMax: number;
  readonly unauthenticatedPerSourceMax: number;
  /**
   * From this percentage of `unauthenticatedConnectionsMax` on, new connections from sources from which nobody has
   * logged in are dropped at random. The probability grows as the number of such connections approaches the limit.
   */
  readonly unauthenticatedDropFromPercent: number;
  /** The time from accepting a connection to a complete identification line. */
  readonly identificationMs: number;
  /** The time from the identification line to our answer with the host key; for a rekey, from KEXINIT to new keys. */
  readonly keyExchangeMs: number;
  /** The time from that answer to new keys, in which a person may compare the fingerprint of the host key. */
  readonly fingerprintMs: number;
  /**
   * The time from new keys to the first proof that counts, and again from there to the session, in which a person may
   * enter a code.
   */
  readonly loginGraceMs: number;
  /**
   * How long a connection that has proved nothing keeps its place when others need it. Until then it ends only as
   * before; afterwards it gives way to newer ones.
   */
  readonly unprovedPlaceMs: number;
  readonly penaltyLongestMs: number;
  readonly rekeyBytes: number;
  readonly rekeyMs: number;
  readonly loginAttemptsMax: number;
  /** How many wrong passwords, codes and tickets have no consequence for a source or an account. */
  readonly freeGuesses: number;
  /** The pause after the next wrong guess. It doubles with each further one, up to `penaltyLongestMs`. */
  readonly guessPauseFirstMs: number;
  /** A counter of guesses starts anew when there was no wrong guess for this time. */
  readonly guessForgetMs: number;
  readonly channelsPerConnectionMax: number;
  readonly handlesPerSessionMax: number;
  /** How many extents of one upload may have a key that was handed out and not be sealed yet. */
  readonly pendingExtentsPerUploadMax: number;
  /** How many directories may exist in one folder, on all its levels together. */
  readonly directoriesPerFolderMax: number;
  readonly requestsInFlightPerChannelMax: number;
  /** The receive window that a client is granted, in bytes. */
  readonly channelWindowBytes: number;
  /** How many unsent bytes a connection may hold before it stops reading. */
  readonly sendBufferBytesMax: number;
  /**
   * How many bytes one edge process may hold for all its clients: windows, waiting replies, and segments that were read
   * ahead.
   */
  readonly bufferBytesMax: number;
  /**
   * How far beyond the write position an out-of-order write may reach, and how many bytes such writes of one handle may
   * have together.
   */
  readonly reorderWindowBytes: number;
  readonly sessionAbsoluteLifeMs: number;
  readonly sessionIdleLifeMs: number;
  readonly leaseIntervalMs: number;
  readonly leaseLostMs: number;
  readonly partialUploadLifeMs: number;
  /** The settle time of new deposit folders; 2 seconds in the demo world. */
  readonly settleMs: number;
  /**
   * For new collect folders: how many days a version stays visible, and how many days its key is kept, both from
   * publication.
   */
  readonly collectWindowDays: number;
  readonly collectRetentionDays: number;
  /** How often versions that expired are withdrawn, destroyed and collected. */
  readonly collectEveryMs: number;
  /** How often each edge tests its own controls: a cap, a wrong code, the lockout. 0 means never. */
  readonly selfTestEveryMs: number;
  /** How often all rows that carry a seal are verified, whether they are in use or not. */
  readonly sealCheckEveryMs: number;
  /** How often new entries of the record get their positions in the trees and are signed. */
  readonly sealEveryMs: number;
  /** How often a checkpoint is signed when nothing happens. */
  readonly checkpointEveryMs: number;
  /**
   * When this number of entries wait to be sealed, nothing begins that would add more. What is under way is finished.
   */
  readonly unsealedEntriesMax: number;
  /**
   * How many entries a process remembers that it wrote and has not seen sealed. Beyond this number nothing begins that
   * would add more; beyond twice this number nothing is written.
   */
  readonly unseenEntriesMax: number;
  /**
   * When something that was sealed has not reached every required witness for the first of these times, an alert is
   * raised. After the second, nothing more is served until it has.
   */
  readonly witnessAlarmMs: number;
  readonly witnessStopMs: number;
  /** A database whose clock moves away from ours by more than this at once is not trusted. */
  readonly clockJumpMs: number;
  /** When a forward has not accepted entries for this time, an alert is raised. */
  readonly forwardAlarmMs: number;
  /** Uploads are refused when the store has fewer free bytes than this. */
  readonly freeSpaceFloorBytes: number;
  /**
   * How many bytes one edge may put into the store that no row of the database names yet: pieces of objects that are
   * being written, and objects that no upload has taken.
   */
  readonly unsettledBytesMax: number;
  /** How long an edge retries while the warden or its database is away, before the client gets a failure. */
  readonly wardenRetryMs: number;
  readonly drainMs: number;
  /**
   * How long a read waits for its turn while the plane or the gateway is beyond its cap, before the client is refused.
   */
  readonly slowdownPatienceMs: number;
  /**
   * How many entries one credential may leave in the record without paying for them, through repeated reads and
   * refusals: at once, and in each minute.
   */
  readonly unpaidEntriesAtOnce: number;
  readonly unpaidEntriesPerMinute: number;
};

export const defaultLimits: Limits = {
  connectionsMax: 2000,
  unauthenticatedConnectionsMax: 200,
  unauthenticatedPerSourceMax: 50,
  unauthenticatedDropFromPercent: 30,
  identificationMs: 10_000,
  keyExchangeMs: 20_000,
  fingerprintMs: 120_000,
  loginGraceMs: 120_000,
  unprovedPlaceMs: 30_000,
  penaltyLongestMs: 600_000,
  rekeyBytes: 1024 ** 3,
  rekeyMs: 3_600_000,
  loginAttemptsMax: 6,
  freeGuesses: 3,
  guessPauseFirstMs: 1000,
  guessForgetMs: 86_400_000,
  channelsPerConnectionMax: 10,
  handlesPerSessionMax: 64,
  pendingExtentsPerUploadMax: 64,
  directoriesPerFolderMax: 10_000,
  requestsInFlightPerChannelMax: 256,
  channelWindowBytes: 16 * 1024 * 1024,
  sendBufferBytesMax: 2 * 1024 * 1024,
  bufferBytesMax: 512 * 1024 * 1024,
  reorderWindowBytes: 4 * 1024 * 1024,
  sessionAbsoluteLifeMs: 12 * 3_600_000,
  sessionIdleLifeMs: 15 * 60_000,
  leaseIntervalMs: 250,
  leaseLostMs: 750,
  partialUploadLifeMs: 24 * 3_600_000,
  settleMs: 30_000,
  collectEveryMs: 10_000,
  selfTestEveryMs: 90_000,
  sealCheckEveryMs: 60_000,
  collectWindowDays: 30,
  collectRetentionDays: 90,
  sealEveryMs: 250,
  checkpointEveryMs: 60_000,
  // Many times the number of entries in a minute of the busiest hour that was measured; about 100 MiB in the database.
  unsealedEntriesMax: 250_000,
  // The same number in each warden; about 300 bytes each.
  unseenEntriesMax: 250_000,
  witnessAlarmMs: 10_000,
  witnessStopMs: 60_000,
  clockJumpMs: 30_000,
  forwardAlarmMs: 60_000,
  freeSpaceFloorBytes: 1024 * 1024 * 1024,
  unsettledBytesMax: 64 * 1024 * 1024 * 1024,
  wardenRetryMs: 20_000,
  drainMs: 10_000,
  slowdownPatienceMs: 30_000,
  unpaidEntriesAtOnce: 4000,
  unpaidEntriesPerMinute: 1200,
};

/** Returns how long a login may last at most, from the answer with the host key to the session, in milliseconds. */
export const loginMs = (limits: Pick<Limits, 'fingerprintMs' | 'loginGraceMs'>): number =>
  limits.fingerprintMs + 2 * limits.loginGraceMs;

/**
 * The identification line without CR LF (RFC 4253 section 4.2). It has no version, because a version would help only an
 * attacker.
 */
export const identification = 'SSH-2.0-Cofferdam';

/** The two directories below which everything is that the gateway writes. */
export type Directories = Pick<Config, 'runtimeDirectory' | 'storeDirectory'>;

/** The paths of everything below the runtime directory and the store. */
export type Paths = {
  readonly wardenSocket: (node: string) => string;
  readonly adminSocket: string;
  readonly bootstrapSocket: string;
  /** What the warden of this machine signed last, and a freeze that it found. */
  readonly recordMemory: string;
  readonly secrets: string;
  readonly masterKey: string;
  readonly hostKeys: string;
  readonly receiptKey: string;
  readonly ledgerKey: string;
  readonly wardenDatabasePassword: string;
  readonly adminDatabasePassword: string;
  /** Files with explicit connection strings, when the configuration has them. */
  readonly wardenDatabaseUrl: string;
  readonly adminDatabaseUrl: string;
  readonly migrateDatabasePassword: string;
  readonly auditorDatabasePassword: string;
  readonly certs: string;
  readonly operators: string;
  readonly postgresData: string;
  readonly postgresSocketDirectory: string;
  readonly store: string;
  readonly objects: string;
  /** The socket at which the store hears one edge, and the one at which it hears the wardens. */
  readonly storeSocket: (node: string) => string;
  readonly storeControlSocket: string;
};

/** Returns the paths. They are in one place so that permissions can be set in one place. */
export function runtimePaths({ runtimeDirectory: runtime, storeDirectory: store }: Directories): Paths {
  return {
    wardenSocket: (node) => `${runtime}/run/${nodePart(node)}/warden.sock`,
    adminSocket: `${runtime}/run/admin/admin.sock`,
    bootstrapSocket: `${runtime}/run/bootstrap/bootstrap.sock`,
    recordMemory: `${runtime}/run/record/memory.json`,
    secrets: `${runtime}/secrets`,
    masterKey: `${runtime}/secrets/warden/master.key`,
    hostKeys: `${runtime}/secrets/warden/host-keys`,
    receiptKey: `${runtime}/secrets/warden/receipt.key`,
    ledgerKey: `${runtime}/secrets/warden/ledger.key`,
    wardenDatabasePassword: `${runtime}/secrets/warden/database-password`,
    adminDatabasePassword: `${runtime}/secrets/admin/database-password`,
    wardenDatabaseUrl: `${runtime}/secrets/warden/database-url`,
    adminDatabaseUrl: `${runtime}/secrets/admin/database-url`,
    migrateDatabasePassword: `${runtime}/secrets/supervisor/database-password`,
    auditorDatabasePassword: `${runtime}/secrets/supervisor/auditor-password`,
    certs: `${runtime}/certs`,
    operators: `${runtime}/operators`,
    postgresData: `${runtime}/postgres/data`,
    postgresSocketDirectory: `${runtime}/run/postgres`,
    store,
    objects: `${store}/objects`,
    storeSocket: (node) => `${runtime}/run/store/${nodePart(node)}/store.sock`,
    storeControlSocket: `${runtime}/run/store/.wardens/control.sock`,
  };
}
