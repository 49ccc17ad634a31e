// Owns: certificate requests (PKCS#10): how an operator creates one beside a key that never leaves the machine, and
// what the authority believes of a request.
// Must never: believe anything of a request except its key, and its name after the name was compared.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { CofferdamError } from '../server/domain/errors.ts';
import { isValidAccountName } from '../server/domain/paths.ts';
import { newKeys, pem, unfitKey } from './authority.ts';

const requestBytesMax = 16 * 1024;

export function checkOperatorName(name: string): string {
  if (!isValidAccountName(name))
    throw new CofferdamError('invalid', `"${name}" is no operator name: they are [a-z0-9][a-z0-9._-]{0,63}`);
  return name;
}

/** Creates a key, and a request for it that is signed by it. */
export async function makeRequest(name: string): Promise<{ readonly key: string; readonly request: string }> {
  const { pair, key } = await newKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [checkOperatorName(name)] }],
    keys: pair as never,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } as never,
  });
  return { key, request: pem('CERTIFICATE REQUEST', request.rawData) };
}

/** Returns the public key (SPKI, DER) of a request that is valid and is for this name. Throws `invalid` otherwise. */
export async function keyOfRequest(text: string, name: string): Promise<Buffer> {
  checkOperatorName(name);
  const refuse = (text: string): CofferdamError => new CofferdamError('invalid', `the request ${text}`);
  if (text.length > requestBytesMax) throw refuse('is too long');
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(text);
  } catch {
    throw refuse('is not a PKCS#10 certificate request in PEM');
  }
  const spki = Buffer.from(request.publicKey.rawData);
  const unfit = unfitKey(spki);
  if (unfit !== undefined) throw refuse(`has a key of the kind ${unfit}: it must be P-256, P-384 or Ed25519`);
  if (!(await request.verify().catch(() => false)))
    throw refuse('is not signed by its own key: whoever made it did not hold that key');
  const names = request.subjectName.getField('CN');
  const [named] = names;
  if (names.length !== 1 || named !== name)
    throw refuse(
      names.length === 0
        ? `has no name, and must be for "${name}"`
        : `is for ${names.map((one) => JSON.stringify(one)).join(' and ')}, not for "${name}"`,
    );
  return spki;
}
