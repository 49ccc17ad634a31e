// Owns: `cofferctl file receipt`.
import { createPublicKey, verify } from 'node:crypto';
import { CofferdamError } from '../../server/domain/errors.ts';
import { parseReceipt } from '../../server/domain/receipt.ts';
import type { Verb } from '../verb/verb.ts';

/** Returns whether the receipt was signed by this key (PEM) and was not changed since. */
export function isGenuine(receipt: string, publicKeyPem: string): boolean {
  const { body, signatureBase64 } = parseReceipt(receipt);
  return verify(null, Buffer.from(body, 'utf8'), createPublicKey(publicKeyPem), Buffer.from(signatureBase64, 'base64'));
}

export const fileReceipt: Verb = {
  words: ['file', 'receipt'],
  positionals: ['[VERSION]'],
  options: [
    {
      name: 'customer',
      value: 'NAME',
      help: 'instead of a version (see `file list`), with --path: of the newest complete file of this name',
    },
    { name: 'path', value: 'PATH', help: 'as the customer sees it, e.g. /deposit/pain.001.xml' },
    {
      name: 'key-only',
      value: null,
      help: 'print the public key instead: that of this receipt, or without one every key that receipts are signed with',
    },
  ],
  help: 'Prints the signed receipt of a file after checking its signature. Anybody can check it with the public key (Ed25519, see ARCHITECTURE.md).',
  example: 'cofferctl file receipt --customer acme --path /deposit/pain.001.xml',
  operations: ['file.receipt', 'file.receipt-keys'],
  run: async (client, given) => {
    const { customer, path } = given.options;
    const [version] = given.positionals;
    const isKeyOnly = given.options['key-only'] !== undefined;
    if (isKeyOnly && [version, customer, path].every((one) => one === undefined)) {
      const data = await client.call('file.receipt-keys', {});
      return { data, text: data.keys.map((one) => one.publicKey).join('') };
    }
    const data = await client.call('file.receipt', {
      ...(version === undefined ? {} : { version }),
      ...(customer === undefined ? {} : { customer }),
      ...(path === undefined ? {} : { path }),
    });
    if (!isGenuine(data.receipt, data.publicKey))
      throw new CofferdamError('corrupt', 'the signature of this receipt does not verify');
    return { data, text: isKeyOnly ? data.publicKey : data.receipt };
  },
};
