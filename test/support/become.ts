// Owns: becoming a system user of the wall, as main.ts does for a role.
import { lookUp } from '../../server/config/system-users.ts';

/** Becomes the user permanently, with its supplementary groups, as the roles do. */
export function become(user: string): void {
  const line = lookUp('/etc/passwd', user);
  if (line === undefined) throw new Error(`no user ${user}`);
  (process as unknown as { initgroups(user: string, group: number): void }).initgroups(user, Number(line[3]));
  process.setgid?.(Number(line[3]));
  process.setuid?.(Number(line[2]));
  if (process.getuid?.() !== Number(line[2])) throw new Error('not that user');
}
