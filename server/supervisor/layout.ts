// Owns: the directories below the runtime directory and who may do what in them: the wall, in the file system.
// Must never: widen a directory that another role must not enter.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, chownSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, runtimePaths } from '../config/config.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { ProcessUser } from '../postgres/embedded.ts';

/** Members may read sealed objects: both edges and the warden, which owns them. */
const storeGroup = 'cofferdam-store';

export type Wall = {
  readonly warden: ProcessUser;
  readonly admin: ProcessUser;
  readonly database: ProcessUser;
  readonly edgeOf: (node: string) => ProcessUser;
  readonly storeGid: number;
  readonly areShared: boolean;
};

function lookUp(file: '/etc/passwd' | '/etc/group', name: string): readonly string[] | undefined {
  return readFileSync(file, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':');
}

function runTool(command: string, args: readonly string[]): void {
  try {
    execFileSync(command, args, { stdio: 'pipe' });
  } catch (cause) {
    throw new CofferdamError('configuration', `${command} ${args.join(' ')} failed: system users for the roles cannot be made`, { cause });
  }
}

function ensureGroup(name: string): number {
  if (lookUp('/etc/group', name) === undefined) runTool('groupadd', ['--system', name]);
  return Number(lookUp('/etc/group', name)?.[2]);
}

export function ensureUser(name: string, groups: readonly string[]): ProcessUser {
  if (lookUp('/etc/passwd', name) === undefined)
    runTool('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      name,
    ]);
  for (const group of groups)
    if (!(lookUp('/etc/group', group)?.[3] ?? '').split(',').includes(name)) runTool('usermod', ['--append', '--groups', group, name]);
  const entry = lookUp('/etc/passwd', name);
  if (entry === undefined) throw new CofferdamError('configuration', `the system user ${name} does not exist`);
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** As root: one system user per role, made when missing in development. As anyone else: all roles share the starter's. */
export function buildWall(config: Config): Wall {
  const { users } = config;
  if (users === null) {
    const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    return { warden: self, admin: self, database: self, edgeOf: () => self, storeGid: self.gid, areShared: true };
  }
  const storeGid = ensureGroup(storeGroup);
  const partner = ensureUser(users.partnerEdge, [storeGroup]);
  const internal = ensureUser(users.internalEdge, [storeGroup]);
  return {
    warden: ensureUser(users.warden, [storeGroup]),
    admin: ensureUser(users.admin, []),
    database: ensureUser(users.database, []),
    edgeOf: (node) => (config.edges.find((edge) => edge.node === node)?.plane === 'internal' ? internal : partner),
    storeGid,
    areShared: false,
  };
}

function place(path: string, owner: { readonly uid: number; readonly gid: number }, mode: number): void {
  mkdirSync(path, { recursive: true });
  if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
  chmodSync(path, mode);
}

/** Makes every directory with its owner and mode. Throws `configuration` when one cannot be written. */
export function layOut(config: Config, wall: Wall): void {
  const paths = runtimePaths(config);
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  try {
    place(config.runtimeDirectory, self, 0o755);
    accessSync(config.runtimeDirectory, constants.W_OK);
    place(`${config.runtimeDirectory}/run`, self, 0o755);
    for (const { node } of config.edges) {
      // The warden makes its socket here; the directory's group, inherited by the socket, is the one edge that may connect.
      place(dirname(paths.wardenSocket(node)), { uid: wall.warden.uid, gid: wall.edgeOf(node).gid }, 0o2750);
      place(paths.incoming(node), { uid: wall.edgeOf(node).uid, gid: wall.storeGid }, 0o2770);
    }
    place(config.storeDirectory, self, 0o755);
    place(dirname(paths.incoming('x')), self, 0o755);
    place(paths.objects, { uid: wall.warden.uid, gid: wall.storeGid }, 0o2750);
    place(dirname(paths.adminSocket), wall.admin, 0o755);
    // Only root and the warden may enter: whoever may make the first operators is root on this machine.
    place(dirname(paths.bootstrapSocket), wall.warden, 0o700);
    place(paths.secrets, self, 0o755);
    place(dirname(paths.masterKey), wall.warden, 0o700);
    place(dirname(paths.adminDatabasePassword), wall.admin, 0o700);
    place(dirname(paths.migrateDatabasePassword), self, 0o700);
    if (config.database.embedded) {
      place(dirname(paths.postgresData), wall.database, 0o700);
      place(paths.postgresSocketDirectory, wall.database, 0o755);
    }
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError(
      'configuration',
      `${config.runtimeDirectory} cannot be written: ${cause instanceof Error ? cause.message : 'unknown error'}`,
      { cause },
    );
  }
}

/** The secret in `path`, made once with 24 random bytes in base64url, readable by `owner` only. */
export function ensureSecret(path: string, owner: ProcessUser): string {
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o400, flag: 'wx' });
  if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
  return readFileSync(path, 'utf8').trim();
}
