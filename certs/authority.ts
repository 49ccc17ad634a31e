// Owns: X.509 for the operators' socket: the installation's authority, its server certificate, its operators' certificates. The only importer of `@peculiar/x509`.
// Must never: put a key into git, or issue a certificate that lives for ever.
import 'reflect-metadata';
import { createHash, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;

/** PEM texts; the key is unencrypted PKCS#8. */
export type Issued = { readonly certificate: string; readonly key: string };

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return `-----BEGIN PRIVATE KEY-----\n${der
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd()}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

// Positive and 16 bytes: RFC 5280 4.1.2.2.
const serial = (): string => `01${randomBytes(15).toString('hex')}`;

export async function createAuthority(name: string, days: number): Promise<Issued> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + days * dayMs),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

async function issue(authority: Issued, name: string, days: number, usage: x509.ExtendedKeyUsage): Promise<Issued> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${name}`,
    issuer: issuer.subject,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + days * dayMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey as never,
    signingKey: (await importKey(authority.key)) as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage], true),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

export function issueServerCertificate(authority: Issued, name: string, days: number): Promise<Issued> {
  return issue(authority, name, days, x509.ExtendedKeyUsage.serverAuth);
}

export function issueOperatorCertificate(authority: Issued, operator: string, days: number): Promise<Issued> {
  return issue(authority, operator, days, x509.ExtendedKeyUsage.clientAuth);
}

/** SHA-256 over the certificate's SPKI, hexadecimal: how the operator table names a key. */
export function keyFingerprint(certificatePem: string): string {
  return createHash('sha256')
    .update(new NodeCertificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}
