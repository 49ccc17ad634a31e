// Owns: the certificate of an operator and the role of one, as a command line gives them.
// Must never: take a private key for a certificate.
import { X509Certificate } from 'node:crypto';
import { operatorRoles } from '../../server/rpc/operators/words.ts';
import { inputText } from '../terminal/input-file.ts';
import { type Given, type Option, required } from '../verb/verb.ts';

export const roleOption: Option = { name: 'role', value: 'ROLE', help: operatorRoles.join(', '), required: true };
export const certificateOption: Option = {
  name: 'certificate',
  value: 'FILE',
  help: 'cert.pem that the authority issued for their own key',
  required: true,
};

/** Returns the public key of a certificate (SPKI, DER, base64) and the name that the authority put into it. */
export function certificateOf(file: string): { readonly name: string; readonly publicKey: string } {
  const pem = inputText(file);
  if (pem.includes('PRIVATE KEY'))
    throw new RangeError(`${file} holds a private key: it never leaves its owner. Give the certificate`);
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch {
    throw new RangeError(`${file} is not a certificate (PEM)`);
  }
  const name = /^CN=(.+)$/m.exec(parsed.subject)?.[1];
  if (name === undefined) throw new RangeError(`the certificate in ${file} has no name`);
  return { name, publicKey: parsed.publicKey.export({ type: 'spki', format: 'der' }).toString('base64') };
}

export function roleOf(given: Given): (typeof operatorRoles)[number] {
  const found = operatorRoles.find((one) => one === given.options.role);
  if (found === undefined)
    throw new RangeError(`--role takes ${operatorRoles.join(', ')}, not "${given.options.role}"`);
  return found;
}

/**
 * Returns the public key of the certificate that was given. Throws a RangeError when it is for another operator than
 * `name`.
 */
export function ownCertificate(given: Given, name: string): string {
  const { name: said, publicKey } = certificateOf(required(given, 'certificate'));
  if (said !== name) throw new RangeError(`that certificate is for ${said}, not for ${name}`);
  return publicKey;
}
