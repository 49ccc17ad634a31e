// Owns: the shape of the one frozen configuration value that every role receives. Parsing lives beside it in load.ts.
import type { ProfileName } from '../domain/algorithms.ts';
import type { Plane } from '../domain/ids.ts';
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
  /** Algorithms of this listener. */
  readonly profile: ProfileName;
  /** Addresses or networks of load balancers: from there, and only from there, a PROXY protocol header must come first. */
  readonly balancers: readonly string[];
};

export type SystemUsers = {
  /** By node. Two edges never share one, of whichever plane: what one user may do, each of its processes may do to the others. */
  readonly edges: Readonly<Record<string, string>>;
  readonly warden: string;
  readonly admin: string;
  readonly database: string;
};

export type Config = {
  /** `development` allows shared uids and generated secrets under `runtimeDirectory`. */
  readonly mode: 'development' | 'production';
  /** The demo world exists: only without a configuration file, only on loopback. */
  readonly demo: boolean;
  /** Absolute. Everything the gateway writes stands below it: run/ (sockets), store/, secrets/, postgres/, log/. */
  readonly runtimeDirectory: string;
  readonly storeDirectory: string;
  readonly edges: readonly EdgeConfig[];
  readonly database: {
    /** True: the supervisor runs PostgreSQL 18 below runtimeDirectory. */
    readonly embedded: boolean;
    /** Connection strings per role; null where this process must not have it, or where the embedded server makes it. */
    readonly migrateUrl: string | null;
    /** The server and database without credentials: a role adds its own name and generated password. */
    readonly serverUrl: string | null;
    readonly wardenUrl: string | null;
    readonly adminUrl: string | null;
  };
  /** Where operators are served beside the unix socket. Loopback only; a literal address once the process has started. */
  readonly admin: { readonly tcp: { readonly host: string; readonly port: number } | null };
  readonly metrics: { readonly wardenPort: number | null; readonly edgePorts: readonly number[] };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'; readonly pretty: boolean };
  /** Shown to every client before it logs in. */
  readonly banner: string;
  /** Sources that earn no penalties: monitoring, and loopback. */
  readonly penaltyExempt: readonly string[];
  /** A start without ssh2's native cipher is refused unless this is set. */
  readonly allowSlowCipher: boolean;
  /** Present when started by root: system users of the wall, one per role, and one per edge. */
  readonly users: SystemUsers | null;
  readonly limits: Limits;
  /** How much one edge may make the warden store; see node-allowances.ts. */
  readonly perNode: NodeAllowances;
  /** What every scope may use from its creation; see default-budgets.ts. */
  readonly budgets: BudgetDefaults;
  readonly credentials: CredentialAges;
  readonly ledger: LedgerConfig;
  /** What one node, one person and one plane may use of what the warden and the admin process have; see shares.ts. */
  readonly shares: Shares;
};

/** Every queue, map, buffer, list, string and timer of the product is bounded here. */
export type Limits = {
  readonly connectionsMax: number;
  readonly unauthenticatedConnectionsMax: number;
  readonly unauthenticatedPerSourceMax: number;
  /** Above this share of the bound new strangers are dropped at random, the likelier the nearer the bound; percent. */
  readonly unauthenticatedDropFromPercent: number;
  /** From accept to a whole identification line. */
  readonly identificationMs: number;
  /** From identification to new keys; for a rekey, from KEXINIT to new keys. */
  readonly keyExchangeMs: number;
  readonly loginGraceMs: number;
  readonly penaltyLongestMs: number;
  readonly rekeyBytes: number;
  readonly rekeyMs: number;
  readonly loginAttemptsMax: number;
  /** Wrong passwords, codes and tickets that cost a source or an account nothing. */
  readonly freeGuesses: number;
  /** The pause after the next one; it doubles, up to penaltyLongestMs. */
  readonly guessPauseFirstMs: number;
  /** Counters that were quiet for so long begin again. */
  readonly guessForgetMs: number;
  readonly channelsPerConnectionMax: number;
  readonly handlesPerSessionMax: number;
  /** Extents of one upload whose key was handed out and that are not sealed yet. */
  readonly pendingExtentsPerUploadMax: number;
  /** Directories that stand in one folder, on all its levels. */
  readonly directoriesPerFolderMax: number;
  readonly requestsInFlightPerChannelMax: number;
  /** Receive window granted to a client, bytes. */
  readonly channelWindowBytes: number;
  /** Unsent bytes a connection may hold before its reads pause. */
  readonly sendBufferBytesMax: number;
  /** What one edge process may hold for all its clients: windows, waiting replies, segments read ahead. */
  readonly bufferBytesMax: number;
  /** How far ahead of the write position an out-of-order write may lie. */
  readonly reorderWindowBytes: number;
  readonly sessionAbsoluteLifeMs: number;
  readonly sessionIdleLifeMs: number;
  readonly leaseIntervalMs: number;
  readonly leaseLostMs: number;
  readonly partialUploadLifeMs: number;
  /** Settle time of new deposit folders; 2 s in the demo world. */
  readonly settleMs: number;
  /** New collect folders: how long a version stands in the tree, and how long its key is kept, from publication. */
  readonly collectWindowDays: number;
  readonly collectRetentionDays: number;
  /** How often what expired is withdrawn, destroyed and collected. */
  readonly collectEveryMs: number;
  /** How often each edge drives its own controls: a cap, a wrong code, the lockout. 0 = never. */
  readonly selfTestEveryMs: number;
  /** How often everything that carries a seal is looked at, used or not. */
  readonly sealsEveryMs: number;
  /** How often what was recorded gets its place in the trees and is signed. */
  readonly sealEveryMs: number;
  /** How often a checkpoint is signed when nothing happens. */
  readonly checkpointEveryMs: number;
  /** With so many entries waiting for their seal, nothing begins that would add more; what is under way ends. */
  readonly unsealedEntriesMax: number;
  /** So many entries a process remembers that it wrote and has not seen sealed. Beyond that nothing begins that would add more; beyond twice as many nothing is written. */
  readonly unseenEntriesMax: number;
  /** What no witness has for so long is an alarm; for so long, and nothing more is served until one has it. */
  readonly witnessAlarmMs: number;
  readonly witnessStopMs: number;
  /** A database whose clock moves away from ours by more than this, at once, is not believed. */
  readonly clockJumpMs: number;
  /** Entries that a forward has not taken for so long are an alarm. */
  readonly forwardAlarmMs: number;
  /** Uploads are refused below this many free bytes in the store. */
  readonly freeSpaceFloorBytes: number;
  /** What one edge may have lying in its directory of the store; an honest one has what is on its way into objects. */
  readonly incomingBytesMax: number;
  /** How long an edge keeps trying while the warden or its database is away, before the client gets a failure. */
  readonly wardenRetryMs: number;
  readonly drainMs: number;
  /** How long a read waits for its turn while plane or gateway is past its cap, before the client is refused. */
  readonly slowdownPatienceMs: number;
  /** Entries that one credential may leave in the record without paying for them, by repeated reads and refusals: at once, and with each minute. */
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
  loginGraceMs: 30_000,
  penaltyLongestMs: 600_000,
  rekeyBytes: 1024 ** 3,
  rekeyMs: 3_600_000,
  loginAttemptsMax: 6,
  freeGuesses: 3,
  guessPauseFirstMs: 1000,
  guessForgetMs: 86_400_000,
  channelsPerConnectionMax: 1,
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
  sealsEveryMs: 60_000,
  collectWindowDays: 30,
  collectRetentionDays: 90,
  sealEveryMs: 250,
  checkpointEveryMs: 60_000,
  // A minute of the busiest hour that was measured, many times over; some 100 MiB.
  unsealedEntriesMax: 250_000,
  // As many, in each warden; some 300 bytes each.
  unseenEntriesMax: 250_000,
  witnessAlarmMs: 10_000,
  witnessStopMs: 60_000,
  clockJumpMs: 30_000,
  forwardAlarmMs: 60_000,
  freeSpaceFloorBytes: 1024 * 1024 * 1024,
  incomingBytesMax: 64 * 1024 * 1024 * 1024,
  wardenRetryMs: 20_000,
  drainMs: 10_000,
  slowdownPatienceMs: 30_000,
  unpaidEntriesAtOnce: 4000,
  unpaidEntriesPerMinute: 1200,
};

/** Our identification line, without CR LF (RFC 4253 section 4.2). No version: it would only help a stranger. */
export const identification = 'SSH-2.0-Cofferdam';

/** Where things stand below the runtime directory. One place, so that permissions can be set in one place. */
export function runtimePaths(config: Pick<Config, 'runtimeDirectory' | 'storeDirectory'>): {
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
  /** Explicit connection strings, when the configuration has them. */
  readonly wardenDatabaseUrl: string;
  readonly adminDatabaseUrl: string;
  readonly migrateDatabasePassword: string;
  readonly auditorDatabasePassword: string;
  readonly certs: string;
  readonly operators: string;
  readonly postgresData: string;
  readonly postgresSocketDirectory: string;
  readonly incoming: (node: string) => string;
  readonly objects: string;
} {
  const { runtimeDirectory: runtime, storeDirectory: store } = config;
  return {
    wardenSocket: (node) => `${runtime}/run/${node}/warden.sock`,
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
    incoming: (node) => `${store}/incoming/${node}`,
    objects: `${store}/objects`,
  };
}
