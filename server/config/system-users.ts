// Owns: what the machine says of users and groups: /etc/passwd and /etc/group.
import { readFileSync } from 'node:fs';

/** Members may read sealed objects: both edges and the warden, which owns them. */
export const storeGroup = 'cofferdam-store';
/** Members may connect to the admin process's socket. Who they are there, their certificates say. */
export const operatorsGroup = 'cofferdam-operators';

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
