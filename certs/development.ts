// Owns: the certificates for development: an authority, the certificate of the admin server, and three operators. They
// are created below the runtime directory, and renewed at each start when they end soon.
// Must never: be used in production, where the authority is kept elsewhere.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { keyFingerprint, newKeys, spkiOf } from './authority.ts';
import { Authority, adopt, authorityPaths, createAuthorityDirectory, entryOf } from './authority-directory.ts';
import { replace, writeNew } from './files.ts';
import { indexFile } from './index-file.ts';
import { listing, warnDays } from './list.ts';

const operators = [
  { name: 'alice', role: 'security-officer' },
  { name: 'bob', role: 'security-officer' },
  { name: 'carol', role: 'operator' },
] as const;
/** The name that operators' clients expect in the certificate of the admin process. */
export const adminServerName = 'cofferdam-admin';
const authorityName = 'Cofferdam development authority';
const days = { authority: 3650, server: 825, operator: 365 } as const;

export type DevelopmentPaths = {
  readonly certs: string;
  readonly operators: string;
  /** The system user of the admin process, to whom its certificate and key belong. */
  readonly admin: { readonly uid: number; readonly gid: number };
};
export type DevelopmentOperator = {
  readonly name: string;
  readonly role: string;
  readonly keyFingerprint: string;
  /** The public key as SPKI in DER, in base64. */
  readonly publicKey: string;
};

const certificateOf = (paths: DevelopmentPaths, name: string): string => join(paths.operators, name, 'cert.pem');

/**
 * Creates the authority when there is none. An authority that has no index yet gets one with the certificates that are
 * found around it, because it issued them.
 */
async function ensureAuthority(paths: DevelopmentPaths, directory: string): Promise<void> {
  if (existsSync(indexFile(directory))) return;
  if (!existsSync(authorityPaths(directory).certificate))
    return createAuthorityDirectory(directory, authorityName, days.authority);
  const known = (
    kind: 'authority' | 'server' | 'operator',
    name: string,
    path: string,
  ): ReturnType<typeof entryOf>[] => (existsSync(path) ? [entryOf(kind, name, readFileSync(path, 'utf8'))] : []);
  await adopt(directory, [
    ...known('authority', authorityName, authorityPaths(directory).certificate),
    ...known('server', adminServerName, join(paths.certs, 'admin', 'cert.pem')),
    ...operators.flatMap(({ name }) => known('operator', name, certificateOf(paths, name))),
  ]);
}

async function ensureServer(
  authority: Authority,
  directory: string,
  owner: DevelopmentPaths['admin'],
  isStale: boolean,
): Promise<void> {
  const path = (name: string): string => join(directory, name);
  if (isStale || !existsSync(path('cert.pem')) || !existsSync(path('key.pem'))) {
    const issued = await authority.issueServer(adminServerName, days.server);
    for (const name of ['cert.pem', 'key.pem', 'ca.pem']) rmSync(path(name), { force: true });
    writeNew([
      { path: path('key.pem'), content: issued.key, mode: 0o400, owner },
      { path: path('cert.pem'), content: issued.certificate, mode: 0o400, owner },
      { path: path('ca.pem'), content: authority.certificate, mode: 0o444, owner },
    ]);
  }
  replace({ path: path('crl.pem'), content: authority.crl, mode: 0o444, owner });
}

async function ensureOperator(
  authority: Authority,
  paths: DevelopmentPaths,
  name: string,
  isStale: boolean,
): Promise<void> {
  const directory = join(paths.operators, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = certificateOf(paths, name);
  if (!existsSync(path)) {
    const { spki, key } = await newKeys();
    const certificate = await authority.issueOperator(spki, name, days.operator);
    for (const file of ['key.pem', 'ca.pem']) rmSync(join(directory, file), { force: true });
    // The certificate is written last, because its presence means that the identity is complete.
    writeNew([
      { path: join(directory, 'key.pem'), content: key, mode: 0o600 },
      { path: join(directory, 'ca.pem'), content: authority.certificate, mode: 0o600 },
    ]);
    writeNew([{ path, content: certificate, mode: 0o600 }]);
  } else if (isStale)
    replace({
      path,
      content: await authority.issueOperator(spkiOf(readFileSync(path, 'utf8')), name, days.operator),
      mode: 0o600,
    });
}

/** Creates what is missing and renews what ends soon. Returns the operators with their keys. */
export async function createDevelopmentCertificates(paths: DevelopmentPaths): Promise<readonly DevelopmentOperator[]> {
  const directory = join(paths.certs, 'authority');
  const adminDirectory = join(paths.certs, 'admin');
  mkdirSync(paths.certs, { recursive: true, mode: 0o755 });
  mkdirSync(adminDirectory, { recursive: true, mode: 0o700 });
  await ensureAuthority(paths, directory);
  await Authority.open(directory, async (authority) => {
    const { certificates, crl } = listing(authority);
    const isStale = (kind: string, name: string): boolean =>
      certificates.some(
        (one) =>
          one.kind === kind &&
          one.name === name &&
          one.daysLeft < warnDays &&
          !['revoked', 'replaced'].includes(one.state),
      );
    if (crl.daysLeft < warnDays) await authority.reissueCrl();
    await ensureServer(authority, adminDirectory, paths.admin, isStale('server', adminServerName));
    for (const { name } of operators) await ensureOperator(authority, paths, name, isStale('operator', name));
  });
  return operators.map(({ name, role }) => {
    const certificate = readFileSync(certificateOf(paths, name), 'utf8');
    return {
      name,
      role,
      keyFingerprint: keyFingerprint(certificate),
      publicKey: spkiOf(certificate).toString('base64'),
    };
  });
}
