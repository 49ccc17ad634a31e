// Owns: how a process of the gateway finds its database: by an explicit connection string, or by the address of the
// server and the generated password of its own database role.
// Must never: give one process the password of another. A password file is readable by its owner only.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type Config, type Directories, runtimePaths } from '../config/config.ts';
import { databaseUrlFaults } from '../config/database-urls.ts';
import { secretForbidden } from '../config/owned-paths.ts';
import { CofferdamError } from '../domain/errors.ts';
import { socketUrl } from './embedded.ts';

/** The name of the database inside the embedded server. */
export const embeddedDatabase = 'cofferdam';

/**
 * Returns the connection string of a role. Throws `configuration` when there is none, or when its password cannot be
 * read.
 */
export function roleUrl(config: Directories & Pick<Config, 'database'>, role: 'warden' | 'admin'): string {
  const explicit = role === 'warden' ? config.database.wardenUrl : config.database.adminUrl;
  if (explicit !== null) return explicit;
  const paths = runtimePaths(config);
  const urlFile = role === 'warden' ? paths.wardenDatabaseUrl : paths.adminDatabaseUrl;
  if (existsSync(urlFile)) return checkedUrl(urlFile);
  const file = role === 'warden' ? paths.wardenDatabasePassword : paths.adminDatabasePassword;
  let password: string;
  try {
    password = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new CofferdamError('configuration', `the database password of role ${role} cannot be read: ${file}`, {
      cause,
    });
  }
  const user = `cofferdam_${role}`;
  if (config.database.embedded) return socketUrl(paths.postgresSocketDirectory, user, password, embeddedDatabase);
  if (config.database.serverUrl === null) throw new CofferdamError('configuration', `no database URL for role ${role}`);
  return withCredentials(config.database.serverUrl, user, password);
}

/**
 * Reads a connection string from a file that an operator or the supervisor wrote. The file must be readable by its role
 * only, and the string must obey the same rules as one in the configuration.
 */
function checkedUrl(path: string): string {
  const mode = statSync(path).mode & 0o777;
  if ((mode & secretForbidden) !== 0)
    throw new CofferdamError(
      'configuration',
      `${path} may be read by others (mode ${mode.toString(8)}): chmod 0400 it, and change the password`,
    );
  const url = readFileSync(path, 'utf8').trim();
  const faults = databaseUrlFaults(path, url, false);
  if (faults.length > 0) throw new CofferdamError('configuration', faults.join('\n'));
  return url;
}

/**
 * Returns a connection string for the same server and database with another login. It is edited as text, because Node's
 * URL refuses credentials on the empty host of a socket URL.
 */
export function withCredentials(url: string, user: string, password: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/)(?:[^@/]*@)?/, `$1${user}:${encodeURIComponent(password)}@`);
}
