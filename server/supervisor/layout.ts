// Owns: the system users of the roles, and creating the directories of config/owned-paths.ts. Together they separate
// the roles in the file system.
// Must never: create a directory that is not in that table.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import type { Config } from '../config/config.ts';
import { directoriesOf, type Holder, secretMode } from '../config/owned-paths.ts';
import { databaseGroup, lookUp, objectsGroup, operatorsGroup } from '../config/system-users.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { ProcessUser } from '../postgres/embedded.ts';
import { ensureOwnSecret, placeDirectory, self } from './own-files.ts';

export type Wall = {
  readonly warden: ProcessUser;
  readonly store: ProcessUser;
  readonly admin: ProcessUser;
  readonly database: ProcessUser;
  readonly edgeOf: (node: string) => ProcessUser;
  readonly objectsGid: number;
  readonly operatorsGid: number;
  readonly clientsGid: number;
  readonly areShared: boolean;
};

const triesMax = 20;
const pauseMs = 250;

/**
 * Runs a program until `isDone` returns true. Another process may have done the same meanwhile, and the files of users
 * are locked while one of these programs writes them.
 */
function runTool(command: string, args: readonly string[], isDone: () => boolean): void {
  for (let i = 1; !isDone(); i += 1)
    try {
      execFileSync(command, args, { stdio: 'pipe' });
    } catch (cause) {
      if (i === triesMax && !isDone())
        throw new CofferdamError(
          'configuration',
          `${command} ${args.join(' ')} failed: system users for the roles cannot be made`,
          {
            cause,
          },
        );
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
}

function ensureGroup(name: string): number {
  runTool('groupadd', ['--system', name], () => lookUp('/etc/group', name) !== undefined);
  return Number(lookUp('/etc/group', name)?.[2]);
}

export function ensureUser(name: string, groups: readonly string[]): ProcessUser {
  const isolated = [
    '--system',
    '--gid',
    name,
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
  ];
  ensureGroup(name);
  runTool('useradd', [...isolated, name], () => lookUp('/etc/passwd', name) !== undefined);
  for (const group of groups)
    runTool('usermod', ['--append', '--groups', group, name], () =>
      (lookUp('/etc/group', group)?.[3] ?? '').split(',').includes(name),
    );
  const entry = lookUp('/etc/passwd', name);
  if (entry === undefined) throw new CofferdamError('configuration', `the system user ${name} does not exist`);
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/**
 * Returns the system users of the roles. When the starter is root, each role and each edge has a user of its own, which
 * is created when it is missing. Otherwise all roles share the starter's user.
 */
export function buildWall({ users }: Pick<Config, 'users'>): Wall {
  if (users === null) {
    const one = self();
    return {
      warden: one,
      store: one,
      admin: one,
      database: one,
      edgeOf: () => one,
      objectsGid: one.gid,
      operatorsGid: one.gid,
      clientsGid: one.gid,
      areShared: true,
    };
  }
  const objectsGid = ensureGroup(objectsGroup);
  const clientsGid = ensureGroup(databaseGroup);
  const edges = new Map(Object.entries(users.edges).map(([node, name]) => [node, ensureUser(name, [objectsGroup])]));
  const edgeOf = (node: string): ProcessUser => {
    const user = edges.get(node);
    if (user === undefined) throw new CofferdamError('configuration', `the edge ${node} has no system user`);
    return user;
  };
  return {
    // Neither is in the group of an edge: a socket gets the group of its directory by the setgid bit.
    warden: ensureUser(users.warden, [databaseGroup]),
    store: ensureUser(users.store, []),
    admin: ensureUser(users.admin, [databaseGroup]),
    database: ensureUser(users.database, []),
    edgeOf,
    objectsGid,
    operatorsGid: ensureGroup(operatorsGroup),
    clientsGid,
    areShared: false,
  };
}

function idsOf(wall: Wall, holder: Holder): ProcessUser {
  if (typeof holder === 'object') return wall.edgeOf(holder.edge);
  if (holder === 'objects') return { uid: wall.store.uid, gid: wall.objectsGid };
  if (holder === 'operators') return { uid: wall.admin.uid, gid: wall.operatorsGid };
  if (holder === 'clients') return { uid: wall.database.uid, gid: wall.clientsGid };
  if (holder === 'starter') return self();
  return wall[holder];
}

/** Creates every directory with its owner and mode. Throws `configuration` when one cannot be created. */
export function layOut(config: Config, wall: Wall): void {
  try {
    for (const { path, owner, group, mode } of directoriesOf(config)) {
      const top = path.startsWith(`${config.storeDirectory}/`) ? config.storeDirectory : config.runtimeDirectory;
      placeDirectory(top, path, { uid: idsOf(wall, owner).uid, gid: idsOf(wall, group).gid }, mode);
      if (path === config.runtimeDirectory) accessSync(path, constants.W_OK);
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

/**
 * Returns the secret in `path`, which only `owner` can read. When there is none, it is created with 24 random bytes in
 * base64url.
 */
export function ensureSecret(path: string, owner: ProcessUser): string {
  return ensureOwnSecret(path, owner, secretMode, () => randomBytes(24).toString('base64url'));
}
