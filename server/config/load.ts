// Owns: reading the environment and the configuration file: settings in, one frozen Config out, with all faults
// reported together. No other file reads them.
// Must never: return a value that was not checked, or ignore an unknown key.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { isLoopback, parseHostPort, parseNetwork } from '../domain/addresses.ts';
import { profileNames } from '../domain/algorithms.ts';
import { CofferdamError } from '../domain/errors.ts';
import { type Config, defaultLimits, type Limits, runtimePaths, type SystemUsers } from './config.ts';
import { defaultCredentialAges } from './credential-ages.ts';
import { databaseUrlFaults } from './database-urls.ts';
import { defaultBudgets } from './default-budgets.ts';
import { completeLedger, ledgerFaults, ledgerSettings } from './ledger-settings.ts';
import { hostFault } from './loopback.ts';
import { defaultNodeAllowances, nodeAllowanceSettings } from './node-allowances.ts';
import { budgetSettings, credentialSettings, limitShape, type Settings, settings, shareSettings } from './settings.ts';
import { defaultShares, type Shares, sharesFaults } from './shares.ts';

/**
 * The settle time of the demo world in milliseconds: long enough that an upload ended with ^C is not published before
 * its sender can react, and short enough to wait for.
 */
const demoSettleMs = 2000;
type LoadOptions = {
  readonly file: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  readonly isTerminal: boolean;
  readonly projectDirectory: string;
};

const loopbackNetworks = ['127.0.0.0/8', '::1'] as const;
const roleUsers = {
  warden: 'cofferdam-warden',
  store: 'cofferdam-store',
  admin: 'cofferdam-admin',
  database: 'cofferdam-db',
} as const;
/**
 * The system users of an installation whose configuration file names none. Their names come from the position of the
 * edge in the list, so that a machine does not collect more and more users.
 */
const developmentUsers = (nodes: readonly string[]): SystemUsers => ({
  ...roleUsers,
  edges: Object.fromEntries(nodes.map((node, i) => [node, `cofferdam-edge-${i + 1}`])),
});
const demoUsers: SystemUsers = {
  ...roleUsers,
  edges: { 'partner-1': 'cofferdam-edge', 'internal-1': 'cofferdam-int' },
};
/** On Linux, sun_path has 108 bytes including the final zero. */
const socketPathBytesMax = 107;

/**
 * Reads the configuration file, or creates the configuration of the demo world when there is none. Throws
 * `configuration` with every fault on a line of its own.
 */
export function loadConfig(options: LoadOptions): Config {
  const faults: string[] = [];
  const config = options.file === undefined ? demoConfig(options, faults) : fileConfig(options.file, options, faults);
  if (config !== undefined) checkWhole(config, options, faults);
  if (config === undefined || faults.length > 0)
    throw new CofferdamError(
      'configuration',
      `the configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
  return deepFreeze(config);
}

function envPort(env: LoadOptions['env'], name: string, fallback: number, faults: string[]): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value >= 1 && value <= 65_535) return value;
  faults.push(`${name} must be a port number from 1 to 65535, not "${text}"`);
  return fallback;
}

function envAdminTcp(env: LoadOptions['env'], faults: string[]): Config['admin']['tcp'] {
  const text = env.COFFERDAM_ADMIN_TCP;
  if (text === undefined || text === '') return null;
  const parsed = parseHostPort(text);
  if (parsed === undefined) faults.push(`COFFERDAM_ADMIN_TCP must be HOST:PORT, or [::1]:PORT, not "${text}"`);
  return parsed ?? null;
}

/** Reads an environment variable with JSON of the same form as in a configuration file. */
function envSettings<T>(env: LoadOptions['env'], name: string, shape: z.ZodType, defaults: T, faults: string[]): T {
  const text = env[name];
  if (text === undefined || text === '') return defaults;
  try {
    const parsed = shape.safeParse(JSON.parse(text));
    if (parsed.success) return withDefaults(defaults, parsed.data) as T;
    for (const issue of parsed.error.issues) faults.push(`${name} ${issue.path.join('.')}: ${issue.message}`);
  } catch {
    faults.push(`${name} is not JSON`);
  }
  return defaults;
}

function envLedger(env: LoadOptions['env'], runtimeDirectory: string, faults: string[]): Config['ledger'] {
  // The value is used as a whole. `withDefaults` keeps only the names that the defaults have, and here there are no
  // defaults.
  const given = envSettings<z.infer<typeof ledgerSettings> | undefined>(
    env,
    'COFFERDAM_LEDGER',
    ledgerSettings,
    undefined,
    faults,
  );
  const ledger = completeLedger(runtimeDirectory, given);
  faults.push(...ledgerFaults(ledger, null));
  return ledger;
}

function envShares(env: LoadOptions['env'], faults: string[]): Shares {
  const shares = envSettings<Shares>(env, 'COFFERDAM_SHARES', shareSettings, defaultShares, faults);
  faults.push(...sharesFaults(shares));
  return shares;
}

/**
 * Returns the defaults, with each value that was given in the place of the default with the same name, at every depth.
 */
function withDefaults<T>(defaults: T, given: unknown): T {
  if (given === undefined) return defaults;
  if (typeof defaults !== 'object' || defaults === null || typeof given !== 'object' || given === null)
    return given as T;
  const rows = Object.entries(defaults).map(([name, value]) => [
    name,
    withDefaults(value, (given as Record<string, unknown>)[name]),
  ]);
  return Object.fromEntries(rows) as T;
}

function demoConfig(options: LoadOptions, faults: string[]): Config {
  const { env, projectDirectory } = options;
  const runtimeDirectory = resolve(projectDirectory, env.COFFERDAM_VAR || 'var');
  const host = env.COFFERDAM_HOST || '127.0.0.1';
  const databaseUrl = env.DATABASE_URL || null;
  const level = env.COFFERDAM_LOG_LEVEL || 'info';
  if (!['trace', 'debug', 'info', 'warn', 'error'].includes(level))
    faults.push(`COFFERDAM_LOG_LEVEL must be trace, debug, info, warn or error, not "${level}"`);
  const profile = profileNames.find((name) => name === (env.COFFERDAM_PROFILE || 'default'));
  if (profile === undefined)
    faults.push(`COFFERDAM_PROFILE must be ${profileNames.join(', ')}, not "${env.COFFERDAM_PROFILE}"`);
  const balancers = (env.COFFERDAM_BALANCERS ?? '').split(',').filter((text) => text !== '');
  for (const text of balancers)
    if (parseNetwork(text) === undefined)
      faults.push(`COFFERDAM_BALANCERS: "${text}" is neither an address nor a network`);
  return {
    mode: 'development',
    demo: true,
    runtimeDirectory,
    storeDirectory: join(runtimeDirectory, 'store'),
    edges: [
      {
        node: 'partner-1',
        plane: 'partner',
        host,
        port: envPort(env, 'COFFERDAM_PARTNER_PORT', 2022, faults),
        profile: profile ?? 'default',
        balancers,
      },
      {
        node: 'internal-1',
        plane: 'internal',
        host,
        port: envPort(env, 'COFFERDAM_INTERNAL_PORT', 2023, faults),
        profile: profile ?? 'default',
        balancers: [],
      },
    ],
    database: {
      embedded: databaseUrl === null,
      migrateUrl: databaseUrl,
      serverUrl: databaseUrl,
      wardenUrl: null,
      adminUrl: null,
    },
    admin: { tcp: envAdminTcp(env, faults) },
    metrics: {
      wardenPort: env.COFFERDAM_METRICS_PORT ? envPort(env, 'COFFERDAM_METRICS_PORT', 0, faults) : null,
      edgePorts: [],
    },
    log: { level: level as Config['log']['level'], pretty: options.isTerminal },
    banner: env.COFFERDAM_BANNER || '',
    penaltyExempt: ['127.0.0.1', '::1'],
    allowSlowCipher: env.COFFERDAM_ALLOW_SLOW_CIPHER === '1',
    users: options.isRoot ? demoUsers : null,
    limits: envSettings(
      env,
      'COFFERDAM_LIMITS',
      z.strictObject(limitShape),
      { ...defaultLimits, settleMs: demoSettleMs },
      faults,
    ),
    perNode: envSettings(env, 'COFFERDAM_PER_NODE', nodeAllowanceSettings, defaultNodeAllowances, faults),
    budgets: envSettings(env, 'COFFERDAM_BUDGETS', budgetSettings, defaultBudgets, faults),
    credentials: envSettings(env, 'COFFERDAM_CREDENTIALS', credentialSettings, defaultCredentialAges, faults),
    ledger: envLedger(env, runtimeDirectory, faults),
    shares: envShares(env, faults),
  };
}

function fileConfig(file: string, options: LoadOptions, faults: string[]): Config | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    faults.push(`${file} cannot be read as JSON: ${error instanceof Error ? error.message : 'unknown error'}`);
    return undefined;
  }
  // The supervisor passes a complete configuration, which it has checked, to its roles in this file. A file that a
  // person wrote may not contain `demo: true`.
  const internal = options.env.COFFERDAM_ROLE_CONFIG === '1' && typeof raw === 'object' && raw !== null;
  if (internal) return raw as Config;
  const parsed = settings.safeParse(raw);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) faults.push(`${issue.path.join('.') || file}: ${issue.message}`);
    return undefined;
  }
  // A password in a connection string is refused only when the string is in the file. A string from the environment is
  // only for the process that was started with it, and is written to no file.
  if (parsed.data.mode === 'production')
    for (const [name, url] of Object.entries(parsed.data.database ?? {}))
      if (typeof url === 'string')
        faults.push(...databaseUrlFaults(`database.${name}`, url, true).filter((text) => text.includes('password')));
  const config = complete(parsed.data, options);
  faults.push(
    ...ledgerFaults(config.ledger, config.mode === 'production' ? config : null),
    ...sharesFaults(config.shares),
  );
  return config;
}

function complete(given: Settings, options: LoadOptions): Config {
  const database = given.database ?? {};
  return {
    mode: given.mode,
    demo: false,
    runtimeDirectory: given.runtimeDirectory,
    storeDirectory: given.storeDirectory ?? join(given.runtimeDirectory, 'store'),
    edges: given.edges.map((edge) => ({
      ...edge,
      profile: edge.profile ?? 'default',
      balancers: edge.balancers ?? [],
    })),
    database: {
      embedded: database.embedded ?? false,
      migrateUrl: database.migrateUrl ?? options.env.DATABASE_URL ?? null,
      serverUrl: database.serverUrl ?? database.migrateUrl ?? options.env.DATABASE_URL ?? null,
      wardenUrl: database.wardenUrl ?? null,
      adminUrl: database.adminUrl ?? null,
    },
    admin: { tcp: given.admin?.tcp ?? null },
    metrics: { wardenPort: given.metrics?.wardenPort ?? null, edgePorts: given.metrics?.edgePorts ?? [] },
    log: { level: given.log?.level ?? 'info', pretty: given.log?.pretty ?? false },
    banner: given.banner ?? '',
    penaltyExempt: given.penaltyExempt ?? loopbackNetworks,
    allowSlowCipher: given.allowSlowCipher ?? false,
    users:
      given.mode === 'production'
        ? (given.users ?? null)
        : options.isRoot
          ? (given.users ?? developmentUsers(given.edges.map((edge) => edge.node)))
          : null,
    limits: { ...defaultLimits, ...(given.limits as Partial<Limits> | undefined) },
    perNode: withDefaults(defaultNodeAllowances, given.perNode),
    budgets: withDefaults(defaultBudgets, given.budgets),
    credentials: withDefaults(defaultCredentialAges, given.credentials),
    ledger: completeLedger(given.runtimeDirectory, given.ledger),
    shares: withDefaults<Shares>(defaultShares, given.shares),
  };
}

/** Checks the rules that need more than one value. */
function checkWhole(config: Config, options: LoadOptions, faults: string[]): void {
  if (config.demo)
    for (const edge of config.edges)
      if (!isLoopback(edge.host))
        faults.push(
          `the demo world runs on loopback only, not on ${edge.host}: write a configuration file for any other address`,
        );
  const addresses = config.edges.filter((edge) => edge.port !== 0).map((edge) => `${edge.host}:${edge.port}`);
  for (const address of addresses.filter((one, i) => addresses.indexOf(one) !== i))
    faults.push(`two edges use the same address ${address}`);
  const { tcp } = config.admin;
  const hostOfAdmin = tcp === null ? undefined : hostFault(tcp.host);
  if (hostOfAdmin !== undefined) faults.push(hostOfAdmin);
  if (
    tcp !== null &&
    config.edges.some((edge) => edge.port === tcp.port && [tcp.host, '0.0.0.0', '::'].includes(edge.host))
  )
    faults.push(`admin.tcp: an edge uses port ${tcp.port} of the same address`);
  const nodes = config.edges.map((edge) => edge.node);
  for (const node of nodes.filter((one, i) => nodes.indexOf(one) !== i))
    faults.push(`two edges use the same node name ${node}`);
  for (const name of ['migrateUrl', 'serverUrl', 'wardenUrl', 'adminUrl'] as const)
    faults.push(...databaseUrlFaults(`database.${name}`, config.database[name], false));
  if (config.users !== null) faults.push(...userFaults(config.users, nodes));
  if (config.mode === 'production') {
    if (options.isRoot && config.users === null) faults.push('users: production needs one system user per role');
    if (config.credentials.dayMs !== defaultCredentialAges.dayMs)
      faults.push(`credentials.dayMs: must be ${defaultCredentialAges.dayMs} in production`);
    if (config.database.embedded) faults.push('database.embedded: production needs a PostgreSQL server of its own');
  }
  const paths = runtimePaths(config);
  for (const socket of [
    ...nodes.map(paths.wardenSocket),
    ...nodes.map(paths.storeSocket),
    paths.storeControlSocket,
    paths.adminSocket,
    paths.bootstrapSocket,
    join(paths.postgresSocketDirectory, '.s.PGSQL.5432.lock'),
  ])
    if (Buffer.byteLength(socket) > socketPathBytesMax)
      faults.push(
        `the socket path ${socket} is longer than ${socketPathBytesMax} bytes: use a shorter runtime directory`,
      );
}

/** Returns the faults of the table of system users: every role and every edge needs a user that nothing else uses. */
function userFaults(users: SystemUsers, nodes: readonly string[]): readonly string[] {
  const names = [...Object.values(users.edges), users.warden, users.store, users.admin, users.database];
  return [
    ...nodes
      .filter((node) => users.edges[node] === undefined)
      .map((node) => `users.edges: the edge ${node} has no system user`),
    ...Object.keys(users.edges)
      .filter((node) => !nodes.includes(node))
      .map((node) => `users.edges: there is no edge ${node}`),
    ...[...new Set(names.filter((name, i) => names.indexOf(name) !== i))].map(
      (name) => `users: ${name} is used more than once; roles and edges may not share a system user`,
    ),
    ...(names.includes('root') ? ['users: no role may be root'] : []),
  ];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
