// Owns: reading the users and groups of the machine from /etc/passwd and /etc/group.
import { readFileSync } from 'node:fs';
import type { SystemUsers } from './config.ts';

/** Members may read sealed objects, and the group lets nobody write. Its members are the edges. */
export const objectsGroup = 'cofferdam-objects';
/** Members may connect to the socket of the admin process. Their certificates decide who they are there. */
export const operatorsGroup = 'cofferdam-operators';
/**
 * Members may open connections to the database on this machine. They are the roles that have a password for it. The
 * group exists because a connection takes a place before the client has proved anything.
 */
export const databaseGroup = 'cofferdam-database';

/** Returns the system user of a role or of one edge. */
export function userOf(
  users: SystemUsers,
  holder: 'warden' | 'store' | 'admin' | 'database' | { readonly edge: string },
): string | undefined {
  return typeof holder === 'string' ? users[holder] : users.edges[holder.edge];
}

/** Returns the fields of the line with this name, or undefined when there is none. */
export function lookUp(file: '/etc/passwd' | '/etc/group', name: string): readonly string[] | undefined {
  return readFileSync(file, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':');
}

/** Returns the name that belongs to an id, or the id itself when it has no name. */
export function nameOf(file: '/etc/passwd' | '/etc/group', id: number): string {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((one) => one.split(':')[2] === String(id));
  return line?.split(':')[0] ?? String(id);
}

/**
 * Returns the group memberships that should not exist: a role's user that is a member of more than it must be, or
 * another user in a role's own group. `passwd` and `group` are the texts of /etc/passwd and /etc/group. `isAlone` is
 * true when no other installation on this machine shares the store's user and the group of objects, as installations
 * for development do.
 */
export function groupFaults(users: SystemUsers, passwd: string, group: string, isAlone: boolean): readonly string[] {
  const edges = Object.values(users.edges);
  const narrow = new Set([...edges, users.store, users.admin, users.database]);
  const may = (member: string, name: string): boolean =>
    name === member ||
    (name === objectsGroup && edges.includes(member)) ||
    (name === databaseGroup && [users.warden, users.admin, users.database].includes(member));
  const lines = (text: string): readonly (readonly string[])[] => text.split('\n').map((line) => line.split(':'));
  const groups = lines(group);
  const nameOfGid = (gid: string | undefined): string =>
    groups.find((one) => one[2] === gid)?.[0] ?? `with the number ${gid}`;
  const memberships = [
    ...groups.flatMap(([name = '', , , members = '']) => members.split(',').map((member) => ({ member, name }))),
    ...lines(passwd).map(([member = '', , , gid]) => ({ member, name: nameOfGid(gid) })),
  ].filter(({ member }) => member !== '');
  const concerns = ({ member, name }: { readonly member: string; readonly name: string }): boolean =>
    narrow.has(member) ||
    narrow.has(name) ||
    name === users.warden ||
    (isAlone && (member === users.warden || name === objectsGroup));
  return memberships
    .filter((one) => concerns(one) && !may(one.member, one.name))
    .map(({ member, name }) => `${member} is in the group ${name}`);
}
