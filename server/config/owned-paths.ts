// Owns: the one table of the directories and secrets below the runtime directory, with their owners and permissions.
// The supervisor creates the directories by this table, and `doctor` checks them by it.
// Must never: open a directory to a role that must not enter it.
import { dirname } from 'node:path';
import { type Config, type Paths, runtimePaths } from './config.ts';

/**
 * Who holds a directory or secret. `starter` is the user who ran `cofferdam up` or `cofferdam migrate`. `objects`
 * (whoever reads sealed objects), `operators` and `clients` (of the database) are groups only.
 */
export type Holder =
  | 'starter'
  | 'warden'
  | 'admin'
  | 'database'
  | 'store'
  | 'objects'
  | 'operators'
  | 'clients'
  | { readonly edge: string };
export type OwnedPath = {
  readonly path: string;
  readonly owner: Holder;
  readonly group: Holder;
  readonly mode: number;
};
export type Secret = {
  readonly path: string;
  readonly owner: Holder;
  /** False when only some installations have this secret. */
  readonly isRequired: boolean;
};

/**
 * A directory that others create, or in which an operator puts files by hand. Only `owners` may own it, and nobody else
 * may write in it.
 */
export type Kept = { readonly path: string; readonly owners: readonly Holder[] };

/** The permission bits that a secret must not have: only its owner may read it. */
export const secretForbidden = 0o077;
export const secretMode = 0o400;

const ownedPath = (path: string, owner: Holder, mode: number, group: Holder = owner): OwnedPath => ({
  path,
  owner,
  group,
  mode,
});

/**
 * Returns whether a path is below a directory. A directory elsewhere, for example on another mount, has to be created
 * by whoever manages it.
 */
const isBelow = (directory: string, path: string): boolean => path.startsWith(`${directory}/`);

/** Returns every directory that the supervisor creates, parents first. */
export function directoriesOf(config: Config): readonly OwnedPath[] {
  const paths = runtimePaths(config);
  const runtime = config.runtimeDirectory;
  return [
    ownedPath(runtime, 'starter', 0o755),
    ownedPath(`${runtime}/run`, 'starter', 0o755),
    ownedPath(config.storeDirectory, 'starter', 0o755),
    ownedPath(dirname(dirname(paths.storeControlSocket)), 'starter', 0o755),
    // Only wardens may connect to the store here. The socket inherits the group of its directory.
    ownedPath(dirname(paths.storeControlSocket), 'store', 0o2750, 'warden'),
    ...config.edges.flatMap(({ node }) => [
      // The warden creates its socket here. The socket inherits the directory's group, which holds the one edge that
      // may connect.
      ownedPath(dirname(paths.wardenSocket(node)), 'warden', 0o2750, { edge: node }),
      ownedPath(dirname(paths.storeSocket(node)), 'store', 0o2750, { edge: node }),
    ]),
    // Only the store writes here. Edges read what they have been given the key of; to anybody else it is ciphertext.
    ownedPath(paths.objects, 'store', 0o2750, 'objects'),
    // Operators of this machine may pass through this directory and connect to the socket, which inherits the group.
    // Edges cannot even connect. Only the admin process may list the directory.
    ownedPath(dirname(paths.adminSocket), 'admin', 0o2710, 'operators'),
    // Only root and the warden may enter. Whoever may create the first operators must be root on this machine.
    ownedPath(dirname(paths.bootstrapSocket), 'warden', 0o700),
    ownedPath(dirname(paths.recordMemory), 'warden', 0o700),
    // Only the warden writes its witness files and its archives. Operators and auditors may read the witness files.
    ...config.ledger.witnesses.flatMap((one) =>
      one.type === 'file' && isBelow(runtime, one.directory) ? [ownedPath(one.directory, 'warden', 0o755)] : [],
    ),
    ...(isBelow(runtime, config.ledger.archiveDirectory)
      ? [ownedPath(config.ledger.archiveDirectory, 'warden', 0o700)]
      : []),
    ownedPath(paths.secrets, 'starter', 0o755),
    // The user who starts the product puts secrets here, and is root in production: the role may enter, and cannot
    // replace a secret. In development the warden creates its own keys here, and cannot change files of others (sticky
    // bit).
    ownedPath(dirname(paths.masterKey), 'starter', config.mode === 'development' ? 0o1770 : 0o750, 'warden'),
    ownedPath(dirname(paths.adminDatabasePassword), 'starter', 0o750, 'admin'),
    ownedPath(dirname(paths.migrateDatabasePassword), 'starter', 0o700),
    ownedPath(paths.certs, 'starter', 0o755),
    ownedPath(`${paths.certs}/admin`, 'starter', 0o750, 'admin'),
    ...(config.database.embedded
      ? [
          ownedPath(dirname(paths.postgresData), 'database', 0o700),
          // Whoever may connect can use up all connections without a password. The socket inherits the directory's
          // group.
          ownedPath(paths.postgresSocketDirectory, 'database', 0o2750, 'clients'),
        ]
      : []),
  ];
}

/** Returns the directories that contain keys and certificates that the roles trust. */
export function keptDirectoriesOf({ certs, hostKeys, operators }: Paths): readonly Kept[] {
  return [
    { path: `${certs}/authority`, owners: ['starter'] },
    { path: operators, owners: ['starter'] },
    { path: hostKeys, owners: ['starter', 'warden'] },
  ];
}

/**
 * Returns every key, password and connection string of the installation. The operators' own keys are stored elsewhere.
 */
export function secretsOf(paths: Paths): readonly Secret[] {
  const of = (owner: Holder, required: readonly string[], others: readonly string[]): readonly Secret[] => [
    ...required.map((path) => ({ path, owner, isRequired: true })),
    ...others.map((path) => ({ path, owner, isRequired: false })),
  ];
  const { hostKeys, certs } = paths;
  return [
    ...of(
      'warden',
      [paths.masterKey, paths.receiptKey, paths.ledgerKey, `${hostKeys}/ed25519.pem`, `${hostKeys}/ecdsa.pem`],
      [
        `${hostKeys}/ed25519.next.pem`,
        `${hostKeys}/ecdsa.next.pem`,
        paths.wardenDatabasePassword,
        paths.wardenDatabaseUrl,
      ],
    ),
    ...of('admin', [`${certs}/admin/key.pem`], [paths.adminDatabasePassword, paths.adminDatabaseUrl]),
    ...of('starter', [], [paths.migrateDatabasePassword, paths.auditorDatabasePassword, `${certs}/authority/key.pem`]),
  ];
}
