// Owns: the system users of the roles, and making the directories of config/places.ts: the wall, in the file system.
// Must never: make a directory that does not stand in that table.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, chownSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { directoriesOf, type Holder, secretMode } from '../config/places.ts';
import { lookUp, operatorsGroup, storeGroup } from '../config/system-users.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { ProcessUser } from '../postgres/embedded.ts';

export type Wall = {
  readonly warden: ProcessUser;
  readonly admin: ProcessUser;
  readonly database: ProcessUser;
  readonly edgeOf: (node: string) => ProcessUser;
  readonly storeGid: number;
  readonly operatorsGid: number;
  readonly areShared: boolean;
};

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
    return { warden: self, admin: self, database: self, edgeOf: () => self, storeGid: self.gid, operatorsGid: self.gid, areShared: true };
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
    operatorsGid: ensureGroup(operatorsGroup),
    areShared: false,
  };
}

function place(path: string, owner: { readonly uid: number; readonly gid: number }, mode: number): void {
  mkdirSync(path, { recursive: true });
  if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
  chmodSync(path, mode);
}

function idsOf(wall: Wall, holder: Holder): ProcessUser {
  if (typeof holder === 'object') return wall.edgeOf(holder.edge);
  if (holder === 'store') return { uid: wall.warden.uid, gid: wall.storeGid };
  if (holder === 'operators') return { uid: wall.admin.uid, gid: wall.operatorsGid };
  if (holder === 'starter') return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return wall[holder];
}

/** Makes every directory with its owner and mode. Throws `configuration` when one cannot be written. */
export function layOut(config: Config, wall: Wall): void {
  try {
    for (const { path, owner, group, mode } of directoriesOf(config)) {
      place(path, { uid: idsOf(wall, owner).uid, gid: idsOf(wall, group).gid }, mode);
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

/** The secret in `path`, made once with 24 random bytes in base64url, readable by `owner` only. */
export function ensureSecret(path: string, owner: ProcessUser): string {
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(24).toString('base64url')}\n`, { mode: secretMode, flag: 'wx' });
  if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
  return readFileSync(path, 'utf8').trim();
}
