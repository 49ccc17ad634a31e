// Owns: creating X.509 structures: the installation's authority, certificates for the admin process and for operators,
// and revocation lists. Only this file and request.ts import `@peculiar/x509`.
// Must never: put a key into git, or issue a certificate without an end.
import 'reflect-metadata';
import { createHash, createPublicKey, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
export const dayMs = 86_400_000;
/**
 * Certificates begin this much before their creation, in milliseconds, because the clocks of two machines differ a
 * little.
 */
const backdatedMs = 60_000;

/** PEM texts. The key is PKCS#8 and not encrypted. */
export type Issued = { readonly certificate: string; readonly key: string };
export type Usage = 'server' | 'operator';
/** The entry of one certificate in a revocation list. */
type Revocation = { readonly serial: string; readonly revokedAt: Date; readonly reasonCode: number };

/** Creates a P-256 key pair. Returns the pair, the public key as SPKI in DER, and the private key as PEM. */
export async function newKeys(): Promise<{
  readonly pair: webcrypto.CryptoKeyPair;
  readonly spki: Buffer;
  readonly key: string;
}> {
  const pair = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey));
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', pair.publicKey));
  return { pair, spki, key: pem('PRIVATE KEY', pkcs8) };
}

/** Returns PEM (RFC 7468) with the label that other tools expect. */
export function pem(label: string, der: ArrayBuffer | Buffer): string {
  const lines = Buffer.from(der as ArrayBuffer)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n');
  return `-----BEGIN ${label}-----\n${lines.trimEnd()}\n-----END ${label}-----\n`;
}

async function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

// A serial number is positive and has 16 bytes (RFC 5280 section 4.1.2.2).
const serial = (): string => `01${randomBytes(15).toString('hex')}`;

export async function createAuthority(name: string, days: number): Promise<Issued> {
  const { pair, spki, key } = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [name] }],
    notBefore: new Date(Date.now() - backdatedMs),
    notAfter: new Date(Date.now() + days * dayMs),
    signingAlgorithm: algorithm,
    keys: pair as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(new x509.PublicKey(spki)),
    ],
  });
  return { certificate: pem('CERTIFICATE', certificate.rawData), key };
}

/**
 * Issues a certificate with one usage for a public key (SPKI, DER). Nothing else that a request asks for is included.
 */
export async function issueFor(
  authority: Issued,
  spki: Buffer,
  name: string,
  days: number,
  usage: Usage,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const subject = new x509.PublicKey(spki);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [name] }],
    issuer: issuer.subjectName,
    notBefore: new Date(Date.now() - backdatedMs),
    notAfter: new Date(Date.now() + days * dayMs),
    signingAlgorithm: algorithm,
    publicKey: subject,
    signingKey: (await importKey(authority.key)) as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        [usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth],
        true,
      ),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      await x509.SubjectKeyIdentifierExtension.create(subject),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pem('CERTIFICATE', certificate.rawData);
}

/** Returns the DER of a non-negative INTEGER (X.690 section 8.3). */
function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const body = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return Buffer.concat([Buffer.of(2, body.length), body]);
}

const crlNumberOid = '2.5.29.20';

/**
 * Returns a signed revocation list (RFC 5280 section 5) with its number and all certificates that were revoked so far.
 */
export async function signRevocationList(
  authority: Issued,
  revocations: readonly Revocation[],
  number: number,
  days: number,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(Date.now() - backdatedMs),
    nextUpdate: new Date(Date.now() + days * dayMs),
    signingAlgorithm: algorithm,
    signingKey: (await importKey(authority.key)) as never,
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new x509.Extension(crlNumberOid, false, integer(number)),
    ],
    entries: revocations.map(({ serial: serialNumber, revokedAt, reasonCode }) => ({
      serialNumber,
      revocationDate: revokedAt,
      // RFC 5280 section 5.3.1: the reason `unspecified` is expressed by leaving out the reason.
      ...(reasonCode === 0 ? {} : { reason: reasonCode }),
    })),
  });
  return pem('X509 CRL', list.rawData);
}

export function spkiOf(certificatePem: string): Buffer {
  return new NodeCertificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' });
}

/** Returns the SHA-256 of an SPKI in hexadecimal, by which the table of operators names a key. */
export function spkiFingerprint(spki: Buffer): string {
  return createHash('sha256').update(spki).digest('hex');
}

export function keyFingerprint(certificatePem: string): string {
  return spkiFingerprint(spkiOf(certificatePem));
}

/**
 * Returns undefined when an operator may use a key of this kind (P-256, P-384 or Ed25519), otherwise the name of its
 * kind.
 */
export function unfitKey(spki: Buffer): string | undefined {
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'ed25519') return undefined;
    const curve = key.asymmetricKeyDetails?.namedCurve;
    if (key.asymmetricKeyType === 'ec' && (curve === 'prime256v1' || curve === 'secp384r1')) return undefined;
    return [key.asymmetricKeyType, curve].filter((one) => one !== undefined).join(' ');
  } catch {
    return 'unknown';
  }
}
