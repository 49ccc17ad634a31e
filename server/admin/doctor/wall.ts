// Owns: the findings about the separation of roles in the file system: the users of the roles, and the owners and modes
// of directories and secrets.
// Must never: read a secret. Everything is examined from outside; what is inside a closed directory is not reported on.
import { accessSync, constants, readFileSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Config, runtimePaths } from '../../config/config.ts';
import {
  directoriesOf,
  type Holder,
  type Kept,
  keptDirectoriesOf,
  type OwnedPath,
  type Secret,
  secretForbidden,
  secretsOf,
} from '../../config/owned-paths.ts';
import {
  databaseGroup,
  groupFaults,
  lookUp,
  nameOf,
  objectsGroup,
  operatorsGroup,
  userOf,
} from '../../config/system-users.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

const groupsOf = { objects: objectsGroup, operators: operatorsGroup, clients: databaseGroup } as const;

type Ids = { readonly uid: number; readonly gid: number };
/** Returns undefined when the ids are unknown, so that nothing can be judged. */
type IdsOf = (holder: Holder) => Ids | undefined;
type Looked = Stats | 'closed' | 'missing';

function look(path: string): Looked {
  try {
    return statSync(path);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'missing' : 'closed';
  }
}

/**
 * Returns the function that gives the ids of a holder: those of the users in the configuration, or of the one user to
 * whom everything belongs when there are none.
 */
function holders({ users, runtimeDirectory }: Pick<Config, 'users' | 'runtimeDirectory'>): IdsOf {
  const top = look(runtimeDirectory);
  const starter = typeof top === 'object' ? { uid: top.uid, gid: top.gid } : undefined;
  if (users === null) return () => starter;
  const user = (name: string): Ids | undefined => {
    const line = lookUp('/etc/passwd', name);
    return line && { uid: Number(line[2]), gid: Number(line[3]) };
  };
  return (holder) => {
    if (holder === 'starter') return starter;
    if (holder === 'objects' || holder === 'operators' || holder === 'clients') {
      const gid = lookUp('/etc/group', groupsOf[holder])?.[2];
      return gid === undefined ? undefined : { uid: -1, gid: Number(gid) };
    }
    const name = userOf(users, holder);
    return name === undefined ? undefined : user(name);
  };
}

/** Returns the finding whether the files of each role belong to a user of its own. */
export function usersFinding(config: Config): Finding {
  const paths = runtimePaths(config);
  const roles = [paths.objects, paths.bootstrapSocket, paths.adminSocket].map((path, i) =>
    look(i === 0 ? path : dirname(path)),
  );
  const edges = config.edges.map((edge) => look(dirname(paths.wardenSocket(edge.node))));
  if (!roles.every((one) => typeof one === 'object') || !edges.every((one) => typeof one === 'object'))
    return warning(
      'users of the wall',
      'the directories of the roles cannot be seen by the admin process',
      `look yourself: stat -c '%U %G %n' ${paths.objects} ${config.runtimeDirectory}/run/*`,
    );
  const groups = new Set(edges.map((one) => one.gid));
  return new Set(roles.map((one) => one.uid)).size === roles.length &&
    groups.size === edges.length &&
    !roles.some((one) => groups.has(one.gid))
    ? ok('users of the wall', 'warden, store, admin and every edge have users of their own')
    : warning(
        'users of the wall',
        'roles or edges share one system user',
        'start as root or with the systemd units; outside development this is refused',
      );
}

/**
 * Returns the findings whether the users are only in the groups that they should be in, and nobody else is in these
 * groups.
 */
export function groupsFindings(
  { mode, users }: Pick<Config, 'mode' | 'users'>,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): readonly Finding[] {
  if (users === null) return [];
  const faults = groupFaults(users, read('/etc/passwd'), read('/etc/group'), mode === 'production');
  return faults.length === 0
    ? [ok('groups of the wall', 'every role is in its own groups, and nobody else is')]
    : faults.map((text) =>
        fault(
          'groups of the wall',
          text,
          'gpasswd --delete USER GROUP; then find out who added it, and start that role again',
        ),
      );
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

function judgeOwner(path: string, seen: Stats, owner: Ids | undefined): Finding | undefined {
  if (owner === undefined || seen.uid === owner.uid) return undefined;
  const is = nameOf('/etc/passwd', seen.uid);
  const should = nameOf('/etc/passwd', owner.uid);
  return fault(
    `file ${path}`,
    `belongs to ${is}, not to ${should}`,
    `chown ${should} ${path}; then find out who changed it`,
  );
}

function judgeDirectory(one: OwnedPath, seen: Stats, idsOf: IdsOf): readonly Finding[] {
  const check = `file ${one.path}`;
  const extra = seen.mode & ~one.mode & 0o7777;
  const lacking = one.mode & ~seen.mode;
  const group = idsOf(one.group);
  const chmod = `chmod ${octal(one.mode)} ${one.path}`;
  const foreign = judgeOwner(one.path, seen, idsOf(one.owner));
  return [
    ...(foreign === undefined ? [] : [foreign]),
    ...(group === undefined || seen.gid === group.gid
      ? []
      : [
          fault(
            check,
            `has the group ${nameOf('/etc/group', seen.gid)}, not ${nameOf('/etc/group', group.gid)}`,
            `chgrp ${nameOf('/etc/group', group.gid)} ${one.path} && ${chmod}`,
          ),
        ]),
    ...(extra === 0
      ? []
      : [
          fault(
            check,
            `has mode ${octal(seen.mode)}, wider than ${octal(one.mode)}`,
            `${chmod}; then find out who used this`,
          ),
        ]),
    ...(extra === 0 && lacking !== 0
      ? [
          warning(
            check,
            `has mode ${octal(seen.mode)}, narrower than ${octal(one.mode)}: a role cannot do its work`,
            chmod,
          ),
        ]
      : []),
  ];
}

function judgeKept(one: Kept, seen: Stats, idsOf: IdsOf): readonly Finding[] {
  const owners = one.owners.map(idsOf).filter((ids) => ids !== undefined);
  const foreign = owners.some((ids) => ids.uid === seen.uid) ? undefined : judgeOwner(one.path, seen, owners[0]);
  return [
    ...(foreign === undefined ? [] : [foreign]),
    ...((seen.mode & 0o022) === 0
      ? []
      : [
          fault(
            `file ${one.path}`,
            `has mode ${octal(seen.mode)}: others may put keys there`,
            `chmod go-w ${one.path}; then look what is in it`,
          ),
        ]),
  ];
}

function judgeSecret(one: Secret, seen: Stats, idsOf: IdsOf): readonly Finding[] {
  const foreign = judgeOwner(one.path, seen, idsOf(one.owner));
  const isOpen = (seen.mode & secretForbidden) !== 0;
  return [
    ...(foreign === undefined ? [] : [foreign]),
    ...(isOpen
      ? [
          fault(
            `file ${one.path}`,
            `is a secret and has mode ${octal(seen.mode)}: others may ${(seen.mode & 0o022) !== 0 ? 'change' : 'read'} it`,
            `chmod 0400 ${one.path}; then replace the secret, it may be known`,
          ),
        ]
      : []),
  ];
}

/** Returns the findings about every directory and every secret in the table of `config/owned-paths.ts`. */
export function fileFindings(config: Config, idsOf: IdsOf = holders(config)): readonly Finding[] {
  const paths = runtimePaths(config);
  const findings: Finding[] = [];
  let seenDirectories = 0;
  let seenSecrets = 0;
  const closed: string[] = [];
  for (const one of directoriesOf(config)) {
    const seen = look(one.path);
    if (seen === 'closed') closed.push(one.path);
    else if (seen === 'missing')
      findings.push(
        fault(`file ${one.path}`, 'is missing', 'cofferdam migrate --config FILE makes directories, as root'),
      );
    else {
      seenDirectories += 1;
      findings.push(...judgeDirectory(one, seen, idsOf));
    }
  }
  for (const one of keptDirectoriesOf(paths)) {
    const seen = look(one.path);
    if (seen === 'closed') closed.push(one.path);
    else if (seen !== 'missing') {
      seenDirectories += 1;
      findings.push(...judgeKept(one, seen, idsOf));
    }
  }
  for (const one of secretsOf(paths)) {
    const seen = look(one.path);
    if (seen === 'closed') closed.push(one.path);
    else if (seen === 'missing') {
      if (one.isRequired)
        findings.push(fault(`file ${one.path}`, 'is missing', `put it back from escrow, then chmod 0400 ${one.path}`));
    } else {
      seenSecrets += 1;
      findings.push(...judgeSecret(one, seen, idsOf));
    }
  }
  // A path inside a directory that the admin's user cannot enter is closed to other users as well, and the mode of that
  // directory was examined.
  const hidden =
    closed.length === 0 ? '' : `; ${closed.length} paths lie behind directories that the admin process cannot enter`;
  const sums = `${seenDirectories} directories and ${seenSecrets} secrets have their owners and modes${hidden}`;
  return findings.length === 0 ? [ok('files of the wall', sums)] : findings;
}

/**
 * Returns the finding whether any role can write to the program that all roles run, to the matrix of rights, or to the
 * functions of the database. No role may.
 */
export function programFinding(project: string, areUsersKnown: boolean): Finding {
  const names = [
    '',
    'server',
    'server/main.ts',
    'scripts',
    'scripts/stripped.mjs',
    'migrations',
    'migrations/grants.sql',
    'migrations/functions',
    'node_modules',
    'node_modules/.cofferdam-stripped',
    'node_modules/.cofferdam-native',
  ] as const;
  const parts = names.map((name) => join(project, name));
  const mayWrite = (path: string): boolean => {
    const seen = look(path);
    if (typeof seen === 'object' && (seen.mode & 0o002) !== 0) return true;
    // When all roles share one user this check says nothing, because the user who starts the product owns its files.
    if (!areUsersKnown) return false;
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  };
  const open = parts.filter(mayWrite);
  return open.length === 0
    ? ok('program', 'its files cannot be changed by the roles')
    : fault(
        'program',
        `${open.join(', ')} can be changed by the admin's user or by everybody`,
        `chown -R root: ${project} && chmod -R go-w ${project}`,
      );
}
