// Owns: what a connection string of the database may be: passwords in files of one role only, and TLS with a verified name to any other machine.
// Must never: show a password, or let a string through whose host it cannot tell.
import { isAbsolute } from 'node:path';
import { isLoopback } from '../domain/addresses.ts';

type Parts = { readonly hosts: readonly string[]; readonly hasPassword: boolean; readonly sslmode: string | null };

/** Undefined: no connection string that could be judged. */
function partsOf(url: string): Parts | undefined {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/[^?#]*)?(?:\?([^#]*))?$/.exec(url);
  if (match === null) return undefined;
  const [, user = '', authority = '', query = ''] = match;
  const options = new URLSearchParams(query);
  // The driver takes `host` of the query before the one that stands in the address; every one of several must do.
  const named = [...options.getAll('host'), ...options.getAll('hostaddr')];
  const hosts = (named.length > 0 ? named : [authority]).flatMap((text) => text.split(','));
  return {
    hosts: hosts.map((host) => (isAbsolute(host) ? host : host.replace(/:\d*$/, ''))),
    hasPassword: user.includes(':') || options.has('password') || options.has('sslpassword'),
    sslmode: options.getAll('sslmode').length === 1 ? options.get('sslmode') : null,
  };
}

const isHere = (host: string): boolean => host === '' || host === 'localhost' || isAbsolute(host) || isLoopback(host);

/** Why this string may not be used; undefined when it may. `isShared`: it stands in a file that every role reads. */
export function databaseUrlFaults(name: string, url: string | null, isShared: boolean): readonly string[] {
  if (url === null) return [];
  const parts = partsOf(url);
  if (parts === undefined) return [`${name}: must be postgresql://USER@HOST:PORT/DATABASE, or postgresql:///DATABASE?host=/DIRECTORY`];
  const foreign = parts.hosts.filter((host) => !isHere(host));
  return [
    ...(isShared && parts.hasPassword
      ? [
          `${name}: a password may not stand here, where every role reads it: put the whole string into secrets/ROLE/database-url, mode 0400, owned by that role (or DATABASE_URL, to migrate)`,
        ]
      : []),
    ...(foreign.length > 0 && parts.sslmode !== 'verify-full'
      ? [
          `${name}: ${foreign.join(', ')} is another machine: sslmode=verify-full is required, not ${parts.sslmode ?? 'nothing of the kind'}`,
        ]
      : []),
  ];
}
