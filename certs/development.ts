// Owns: the development set: an authority, the admin server's certificate, three operators. Made once below the runtime directory.

import { X509Certificate } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, type Issued, issueOperatorCertificate, issueServerCertificate, keyFingerprint } from './authority.ts';

const operators = [
  { name: 'alice', role: 'security-officer' },
  { name: 'bob', role: 'security-officer' },
  { name: 'carol', role: 'operator' },
] as const;
/** The name that operators' clients expect of the admin process. */
export const adminServerName = 'cofferdam-admin';

export type DevelopmentPlaces = {
  readonly certs: string;
  readonly operators: string;
  readonly admin: { readonly uid: number; readonly gid: number };
  readonly isRoot: boolean;
};

function write(path: string, text: string, mode: number): void {
  writeFileSync(path, text, { mode, flag: 'wx' });
}

async function makeSet(places: DevelopmentPlaces): Promise<void> {
  mkdirSync(places.certs, { recursive: true, mode: 0o755 });
  const authority: Issued = await createAuthority('Cofferdam development authority', 3650);
  const server = await issueServerCertificate(authority, adminServerName, 825);
  const adminDirectory = join(places.certs, 'admin');
  mkdirSync(adminDirectory, { recursive: true, mode: 0o700 });
  write(join(adminDirectory, 'cert.pem'), server.certificate, 0o400);
  write(join(adminDirectory, 'key.pem'), server.key, 0o400);
  write(join(adminDirectory, 'ca.pem'), authority.certificate, 0o444);
  if (places.isRoot)
    for (const path of [adminDirectory, ...['cert.pem', 'key.pem', 'ca.pem'].map((name) => join(adminDirectory, name))])
      chownSync(path, places.admin.uid, places.admin.gid);
  for (const { name } of operators) {
    const directory = join(places.operators, name);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const issued = await issueOperatorCertificate(authority, name, 365);
    write(join(directory, 'cert.pem'), issued.certificate, 0o600);
    write(join(directory, 'key.pem'), issued.key, 0o600);
    write(join(directory, 'ca.pem'), authority.certificate, 0o600);
  }
  mkdirSync(join(places.certs, 'authority'), { recursive: true, mode: 0o700 });
  write(join(places.certs, 'authority', 'key.pem'), authority.key, 0o400);
  // Last: its presence says that the set is whole.
  write(join(places.certs, 'authority', 'cert.pem'), authority.certificate, 0o444);
  chmodSync(places.certs, 0o755);
}

export type DevelopmentOperator = {
  readonly name: string;
  readonly role: string;
  readonly keyFingerprint: string;
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string;
};

/** Makes the set when it is not there; returns the operators with the fingerprints of their keys. */
export async function createDevelopmentCertificates(places: DevelopmentPlaces): Promise<readonly DevelopmentOperator[]> {
  if (!existsSync(join(places.certs, 'authority', 'cert.pem'))) await makeSet(places);
  return operators.map(({ name, role }) => {
    const certificate = readFileSync(join(places.operators, name, 'cert.pem'), 'utf8');
    const publicKey = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    return { name, role, keyFingerprint: keyFingerprint(certificate), publicKey };
  });
}
