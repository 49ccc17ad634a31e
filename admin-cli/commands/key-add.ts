import { readFileSync } from 'node:fs';
import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';

export const keyAdd: Command = {
  words: ['key', 'add'],
  positionals: ['ACCOUNT'],
  options: [
    { name: 'file', value: 'FILE', help: 'public key in OpenSSH format, - for standard input', required: true },
    { name: 'days', value: 'N', help: 'valid for so many days, at most 366 (default 365)' },
  ],
  help: 'Registers a public key for an account. A key belongs to one account only.',
  example: 'cofferctl key add northbank --file id_ed25519.pub',
  run: async (client, given) => {
    const account = positional(given, 0);
    const { file } = given.options;
    const publicKey = readFileSync(file === '-' || file === undefined ? 0 : file, 'utf8').trim();
    if (publicKey.includes('PRIVATE KEY')) throw new RangeError('that is a private key: it must never leave its owner. Give the .pub file');
    const expiresInDays = wholeNumber(given, 'days');
    const data = await client.call('key.add', { account, publicKey, ...(expiresInDays === undefined ? {} : { expiresInDays }) });
    return { data, text: `key ${data.fingerprint} registered for ${account}, valid until ${when(data.expiresAt)}\n` };
  },
};
