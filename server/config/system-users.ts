// Owns: what the machine says of users and groups: /etc/passwd and /etc/group.
import { readFileSync } from 'node:fs';
import type { SystemUsers } from './config.ts';

/** Members may read sealed objects, and write nowhere by it: every edge, and the warden, which owns them. */
export const storeGroup = 'cofferdam-store';
/** Members may connect to the admin process's socket. Who they are there, their certificates say. */
export const operatorsGroup = 'cofferdam-operators';
/** Members may open connections to the database on this machine: the roles that have a password for it. A connection counts before anybody proved anything. */
export const databaseGroup = 'cofferdam-database';

/** The user of a role, or of one edge. */
export function userOf(users: SystemUsers, holder: 'warden' | 'admin' | 'database' | { readonly edge: string }): string | undefined {
  return typeof holder === 'string' ? users[holder] : users.edges[holder.edge];
}

/** The fields of the line of a name. */
export function lookUp(file: '/etc/passwd' | '/etc/group', name: string): readonly string[] | undefined {
  return readFileSync(file, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':');
}

/** The name of an id; the id itself when nobody has it. */
export function nameOf(file: '/etc/passwd' | '/etc/group', id: number): string {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((one) => one.split(':')[2] === String(id));
  return line?.split(':')[0] ?? String(id);
}

/**
 * What each user of the wall is a member of beyond what it must be, and who else is in its own group. The two texts are /etc/passwd and /etc/group.
 * `isAlone`: no other installation on this machine shares the warden's user and the store's group, as development does.
 */
export function groupFaults(users: SystemUsers, passwd: string, group: string, isAlone: boolean): readonly string[] {
  const edges = Object.values(users.edges);
  const narrow = new Set([...edges, users.admin, users.database]);
  const may = (member: string, name: string): boolean =>
    name === member ||
    (name === storeGroup && (edges.includes(member) || member === users.warden)) ||
    (name === databaseGroup && (member === users.warden || member === users.admin || member === users.database)) ||
    (member === users.warden && edges.includes(name));
  const lines = (text: string): readonly (readonly string[])[] => text.split('\n').map((line) => line.split(':'));
  const groups = lines(group);
  const nameOfGid = (gid: string | undefined): string => groups.find((one) => one[2] === gid)?.[0] ?? `with the number ${gid}`;
  const memberships = [
    ...groups.flatMap(([name = '', , , members = '']) => members.split(',').map((member) => ({ member, name }))),
    ...lines(passwd).map(([member = '', , , gid]) => ({ member, name: nameOfGid(gid) })),
  ].filter(({ member }) => member !== '');
  const concerns = ({ member, name }: { readonly member: string; readonly name: string }): boolean =>
    narrow.has(member) || narrow.has(name) || name === users.warden || (isAlone && (member === users.warden || name === storeGroup));
  return memberships
    .filter((one) => concerns(one) && !may(one.member, one.name))
    .map(({ member, name }) => `${member} is in the group ${name}`);
}
