// Owns: which connection strings for the database are allowed: passwords only in files that one role can read, and TLS
// with a verified name to any other machine.
// Must never: show a password, or accept a string whose host cannot be determined.
import { isAbsolute } from 'node:path';
import { isLoopback } from '../domain/addresses.ts';

type Parts = { readonly hosts: readonly string[]; readonly hasPassword: boolean; readonly sslmode: string | null };

/** Returns undefined when the text is no connection string that can be judged. */
function partsOf(url: string): Parts | undefined {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/[^?#]*)?(?:\?([^#]*))?$/.exec(url);
  if (match === null) return undefined;
  const [, user = '', authority = '', query = ''] = match;
  const options = new URLSearchParams(query);
  // The driver prefers `host` in the query to the host in the address. When there are several hosts, each must satisfy
  // the rules.
  const named = [...options.getAll('host'), ...options.getAll('hostaddr')];
  const hosts = (named.length > 0 ? named : [authority]).flatMap((text) => text.split(','));
  return {
    hosts: hosts.map((host) => (isAbsolute(host) ? host : host.replace(/:\d*$/, ''))),
    hasPassword: user.includes(':') || options.has('password') || options.has('sslpassword'),
    sslmode: options.getAll('sslmode').length === 1 ? options.get('sslmode') : null,
  };
}

const isHere = (host: string): boolean => host === '' || host === 'localhost' || isAbsolute(host) || isLoopback(host);

/**
 * Returns why this string may not be used, or an empty list when it may. `isShared` is true when the string is in a
 * file that every role reads.
 */
export function databaseUrlFaults(name: string, url: string | null, isShared: boolean): readonly string[] {
  if (url === null) return [];
  const parts = partsOf(url);
  if (parts === undefined)
    return [`${name}: must be postgresql://USER@HOST:PORT/DATABASE, or postgresql:///DATABASE?host=/DIRECTORY`];
  const foreign = parts.hosts.filter((host) => !isHere(host));
  return [
    ...(isShared && parts.hasPassword
      ? [
          `${name}: a password is not allowed here, where every role can read it: put the whole string into secrets/ROLE/database-url, mode 0400, owned by that role (or DATABASE_URL, to migrate)`,
        ]
      : []),
    ...(foreign.length > 0 && parts.sslmode !== 'verify-full'
      ? [
          `${name}: ${foreign.join(', ')} is another machine: sslmode=verify-full is required, not ${parts.sslmode ?? 'nothing of the kind'}`,
        ]
      : []),
  ];
}
