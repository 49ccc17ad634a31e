// Owns: the findings about listeners: each port and socket of the product, which process holds it, and from where it
// can be reached (T-04).
import { type Config, type Directories, runtimePaths } from '../../config/config.ts';
import { nameOf } from '../../config/system-users.ts';
import { addressBytes, canonicalAddress, isLoopback } from '../../domain/addresses.ts';
import { type Finding, fault, ok, warning } from './finding.ts';
import {
  ancestorsOf,
  nameOfProcess,
  readSockets,
  type Sockets,
  type TcpListener,
  type UnixListener,
} from './sockets.ts';

/** A listener that the configuration provides for. */
type Expected = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Whether it may be reached from networks. Only SFTP ports may. */
  readonly isPublic: boolean;
};

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';

/** Returns the host and port of a database that is reached over TCP. */
function databaseOf(url: string | null): readonly Expected[] {
  const match = /^postgres(?:ql)?:\/\/(?:[^@/]*@)?(\[[0-9a-fA-F:]+\]|[^/:?[\]]+)(?::(\d+))?(?:[/?]|$)/.exec(url ?? '');
  if (match?.[1] === undefined) return [];
  return [
    { name: 'database', host: match[1].replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 5432), isPublic: false },
  ];
}

/**
 * Returns the TCP listeners that the configuration provides for. A port of 0 is left out, because it is chosen at the
 * start.
 */
export function expectedListeners(
  config: Pick<Config, 'edges' | 'metrics'>,
  databaseUrl: string | null,
): readonly Expected[] {
  const { wardenPort, edgePorts } = config.metrics;
  return [
    ...config.edges.map((edge) => ({
      name: `edge ${edge.node}, SFTP of the ${edge.plane} plane`,
      host: edge.host,
      port: edge.port,
      isPublic: true,
    })),
    ...(wardenPort === null ? [] : [{ name: 'warden, metrics', host: '127.0.0.1', port: wardenPort, isPublic: false }]),
    ...config.edges.flatMap((edge, i) => {
      const port = edgePorts[i];
      return port === undefined
        ? []
        : [{ name: `edge ${edge.node}, metrics`, host: '127.0.0.1', port, isPublic: false }];
    }),
    ...databaseOf(databaseUrl),
  ].filter((one) => one.port !== 0);
}

/** Returns in words from where a listener on this address can be reached. */
export function reachOf(address: string, addresses: readonly string[]): string {
  if (isLoopback(address)) return 'loopback only';
  // An IPv6 socket also accepts IPv4 unless it was told not to, and the kernel's table does not say which.
  const reached = isWildcard(address)
    ? addresses.filter((one) => address === '::' || addressBytes(one)?.length === 4)
    : addresses.filter((one) => canonicalAddress(one) === address);
  return `this host's networks: ${reached.length === 0 ? `${address}, which no interface has now` : reached.join(', ')}`;
}

/**
 * Returns whether a listener is the expected one: it has the same port and exactly the same address. A host name can
 * mean any address; a wildcard in the configuration means only that wildcard.
 */
function fits(expected: Expected, listener: TcpListener): boolean {
  if (expected.port !== listener.port) return false;
  const literal = canonicalAddress(expected.host.replace(/^\[|\]$/g, ''));
  if (literal === '') return expected.isPublic || isLoopback(listener.address);
  return literal === listener.address;
}

/**
 * Returns to which process or user of the product a listener belongs, as far as can be seen; undefined when it is not
 * the product's.
 */
export type Owner = (listener: TcpListener) => string | undefined;
/**
 * `areUsersKnown` means that the roles have users of their own, so that every listener of the product has a known
 * owner.
 */
type Whose = { readonly owner: Owner; readonly areUsersKnown: boolean };

function tcpFinding(
  listener: TcpListener,
  expected: readonly Expected[],
  whose: Whose,
  addresses: readonly string[],
): readonly Finding[] {
  const { address, port } = listener;
  const shown = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const check = `listener ${shown}`;
  const reach = reachOf(address, addresses);
  const match = expected.find((one) => fits(one, listener));
  const see = `ss -ltnpe 'sport = :${port}'`;
  if (match?.isPublic === true && whose.areUsersKnown && whose.owner(listener) === undefined)
    return [
      fault(
        check,
        `held by the user ${nameOf('/etc/passwd', listener.uid)}, not by ${match.name}: ${reach}`,
        `${see} shows the process; clients may be talking to it: close the port at the firewall, then end it`,
      ),
    ];
  if (match !== undefined && (match.isPublic || isLoopback(address))) return [ok(check, `${match.name}: ${reach}`)];
  // Finds a port that should be reachable only from this machine and listens on an address that others reach, whoever
  // holds it.
  const inward = expected.find(
    (one) => !one.isPublic && one.port === port && (isWildcard(one.host) || isWildcard(address)),
  );
  const holder = whose.owner(listener) ?? inward?.name;
  if (holder === undefined) return [];
  return isLoopback(address)
    ? [
        warning(
          check,
          `${holder}, in no configuration of this installation: ${reach}`,
          `${see} shows the process; end it when nobody knows it`,
        ),
      ]
    : [
        fault(
          check,
          `${holder}, and no SFTP port of the configuration: ${reach}`,
          `${see} shows the process; close the port at the firewall, then end it: nothing of the product may listen there`,
        ),
      ];
}

/** Returns the sockets of the product, with a description of who may use them. */
function knownSockets(config: Directories & Pick<Config, 'edges' | 'database'>): ReadonlyMap<string, string> {
  const paths = runtimePaths(config);
  return new Map([
    [paths.bootstrapSocket, 'warden: root of this host makes the first operators here, once'],
    [
      paths.adminSocket,
      'admin: members of cofferdam-operators may connect; the client certificate decides who is served',
    ],
    [paths.storeControlSocket, 'store: for wardens only'],
    ...config.edges.flatMap(({ node }) => [
      [paths.wardenSocket(node), `warden: for edge ${node} only`] as const,
      [paths.storeSocket(node), `store: for edge ${node} only`] as const,
    ]),
    ...(config.database.embedded
      ? [[`${paths.postgresSocketDirectory}/.s.PGSQL.5432`, 'database: by password'] as const]
      : []),
  ]);
}

function unixFinding(listener: UnixListener, known: ReadonlyMap<string, string>): Finding {
  const check = `listener ${listener.path}`;
  const rights =
    listener.mode === null || listener.uid === null
      ? 'in a directory that is closed to the admin process'
      : `mode ${(listener.mode & 0o777).toString(8).padStart(4, '0')}, owner ${nameOf('/etc/passwd', listener.uid)}`;
  const name = known.get(listener.path);
  return name === undefined
    ? fault(
        check,
        `unix socket, ${rights}: no part of the product listens there`,
        `ss -lxpe 'src = ${listener.path}' shows the process; end it, and find out how it came there`,
      )
    : ok(check, `${name}; unix socket, ${rights}`);
}

/** Returns the findings about all listeners. `live` names the nodes that renew their leases. */
export function listenerFindings(
  sockets: Sockets,
  config: Config,
  expected: readonly Expected[],
  owner: Owner,
  live: readonly string[],
): readonly Finding[] {
  const known = knownSockets(config);
  const hidden = config.edges
    .filter((edge) => edge.port !== 0 && live.includes(edge.node))
    .filter((edge) => {
      const own = expected.filter((one) => one.isPublic && one.host === edge.host && one.port === edge.port);
      return !sockets.tcp.some((listener) => own.some((one) => fits(one, listener)));
    });
  return [
    ...sockets.tcp.flatMap((one) =>
      tcpFinding(one, expected, { owner, areUsersKnown: config.users !== null }, sockets.addresses),
    ),
    ...sockets.unix.map((one) => unixFinding(one, known)),
    ...hidden.map((edge) =>
      warning(
        `listener of edge ${edge.node}`,
        'serves, but its port is not visible to the admin process: another host, container or network namespace',
        `look there: ss -ltn 'sport = :${edge.port}'`,
      ),
    ),
  ];
}

/**
 * Returns how the owner of a listener is found: by the process where it is visible, otherwise by the user that the
 * kernel names. When all roles share one user, a process counts as ours when it descends from the supervisor.
 */
function ownerOf(users: Config['users']): Owner {
  if (users === null) {
    const family = process.send === undefined ? process.pid : process.ppid;
    return ({ holders }) => {
      const own = holders.find((pid) => ancestorsOf(pid).includes(family));
      return own === undefined ? undefined : nameOfProcess(own);
    };
  }
  const names = new Set([users.warden, users.admin, users.database, ...Object.values(users.edges)]);
  return ({ uid, holders }) => {
    const user = nameOf('/etc/passwd', uid);
    if (!names.has(user)) return undefined;
    const [seen] = holders;
    return seen === undefined ? `a process of the user ${user}` : `${nameOfProcess(seen)} (user ${user})`;
  };
}

/** Returns the findings about listeners, or one warning when the kernel's tables cannot be read. */
export function examineListeners(
  config: Config,
  databaseUrl: string | null,
  live: readonly string[],
): readonly Finding[] {
  try {
    const sockets = readSockets(config.runtimeDirectory);
    return listenerFindings(sockets, config, expectedListeners(config, databaseUrl), ownerOf(config.users), live);
  } catch (error) {
    return [
      warning(
        'listeners',
        `the kernel's tables of sockets cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`,
        'look yourself: ss -ltnp; ss -lxp',
      ),
    ];
  }
}
