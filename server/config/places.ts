// Owns: the one table of directories and secrets below the runtime directory: whose they are and who may do what. The supervisor lays them out
// by it, doctor judges by it.
// Must never: widen a directory that another role must not enter.
import { dirname } from 'node:path';
import { type Config, runtimePaths } from './config.ts';

/** `starter`: who ran `cofferdam up` or `cofferdam migrate`; `store`, `operators`, `clients` of the database: a group only. */
export type Holder = 'starter' | 'warden' | 'admin' | 'database' | 'store' | 'operators' | 'clients' | { readonly edge: string };
export type Place = { readonly path: string; readonly owner: Holder; readonly group: Holder; readonly mode: number };
export type Secret = {
  readonly path: string;
  readonly owner: Holder;
  /** False: only some installations have it. */
  readonly isRequired: boolean;
};

/** Made by others, or put there by hand: nobody but these may own it, nobody else may write in it. */
export type Kept = { readonly path: string; readonly owners: readonly Holder[] };

/** A secret is for its owner's eyes: no bit of these. */
export const secretForbidden = 0o077;
export const secretMode = 0o400;

const place = (path: string, owner: Holder, mode: number, group: Holder = owner): Place => ({ path, owner, group, mode });

/** Directories elsewhere (another mount) are their keeper's to make. */
const isBelow = (directory: string, path: string): boolean => path.startsWith(`${directory}/`);

/** Every directory that is laid out, parents first. */
export function directoriesOf(config: Config): readonly Place[] {
  const paths = runtimePaths(config);
  const runtime = config.runtimeDirectory;
  return [
    place(runtime, 'starter', 0o755),
    place(`${runtime}/run`, 'starter', 0o755),
    place(config.storeDirectory, 'starter', 0o755),
    place(dirname(paths.incoming('x')), 'starter', 0o755),
    ...config.edges.flatMap(({ node }) => [
      // The warden makes its socket here; the directory's group, inherited by the socket, is the one edge that may connect.
      place(dirname(paths.wardenSocket(node)), 'warden', 0o2750, { edge: node }),
      // Its edge writes, the warden takes over and deletes, and nobody else may enter. The edge does not own it: it cannot let others in.
      place(paths.incoming(node), 'warden', 0o2770, { edge: node }),
    ]),
    place(paths.objects, 'warden', 0o2750, 'store'),
    // Operators of this machine may pass and connect, edges may not even knock; the socket inherits the group. Nobody but the admin process lists it.
    place(dirname(paths.adminSocket), 'admin', 0o2710, 'operators'),
    // Only root and the warden may enter: whoever may make the first operators is root on this machine.
    place(dirname(paths.bootstrapSocket), 'warden', 0o700),
    place(dirname(paths.recordMemory), 'warden', 0o700),
    // Only the warden writes what it witnessed and what it archived; operators and auditors may read it.
    ...config.ledger.witnesses.flatMap((one) =>
      one.type === 'file' && isBelow(runtime, one.directory) ? [place(one.directory, 'warden', 0o755)] : [],
    ),
    ...(isBelow(runtime, config.ledger.archiveDirectory) ? [place(config.ledger.archiveDirectory, 'warden', 0o700)] : []),
    place(paths.secrets, 'starter', 0o755),
    // Whoever starts the product puts secrets there, as root: so a role may enter, and put nothing in their place. In development the warden
    // makes its own keys there, and can touch no other file.
    place(dirname(paths.masterKey), 'starter', config.mode === 'development' ? 0o1770 : 0o750, 'warden'),
    place(dirname(paths.adminDatabasePassword), 'starter', 0o750, 'admin'),
    place(dirname(paths.migrateDatabasePassword), 'starter', 0o700),
    place(paths.certs, 'starter', 0o755),
    place(`${paths.certs}/admin`, 'starter', 0o750, 'admin'),
    ...(config.database.embedded
      ? [
          place(dirname(paths.postgresData), 'database', 0o700),
          // Whoever may connect may use up all connections without a password; the socket inherits the group.
          place(paths.postgresSocketDirectory, 'database', 0o2750, 'clients'),
        ]
      : []),
  ];
}

/** Directories in which keys and certificates stand that the roles trust. */
export function keptDirectoriesOf(config: Config): readonly Kept[] {
  const { certs, hostKeys, operators } = runtimePaths(config);
  return [
    { path: `${certs}/authority`, owners: ['starter'] },
    { path: operators, owners: ['starter'] },
    { path: hostKeys, owners: ['starter', 'warden'] },
  ];
}

/** Every key, password and connection string; operators' own keys stand elsewhere. */
export function secretsOf(config: Config): readonly Secret[] {
  const paths = runtimePaths(config);
  const of = (owner: Holder, required: readonly string[], others: readonly string[]): readonly Secret[] => [
    ...required.map((path) => ({ path, owner, isRequired: true })),
    ...others.map((path) => ({ path, owner, isRequired: false })),
  ];
  const { hostKeys, certs } = paths;
  return [
    ...of(
      'warden',
      [paths.masterKey, paths.receiptKey, paths.ledgerKey, `${hostKeys}/ed25519.pem`, `${hostKeys}/ecdsa.pem`],
      [`${hostKeys}/ed25519.next.pem`, `${hostKeys}/ecdsa.next.pem`, paths.wardenDatabasePassword, paths.wardenDatabaseUrl],
    ),
    ...of('admin', [`${certs}/admin/key.pem`], [paths.adminDatabasePassword, paths.adminDatabaseUrl]),
    ...of('starter', [], [paths.migrateDatabasePassword, paths.auditorDatabasePassword, `${certs}/authority/key.pem`]),
  ];
}
