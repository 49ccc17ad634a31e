// Owns: `cofferctl key add`.
import { inputText } from '../terminal/input-file.ts';
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { only, positional, required, wholeNumber, yesNo } from '../verb/verb.ts';

export const keyAdd = change({
  words: ['key', 'add'],
  positionals: ['ACCOUNT'],
  options: [
    { name: 'file', value: 'FILE', help: 'public key in OpenSSH format, - for standard input', required: true },
    {
      name: 'proof',
      value: 'FILE',
      help: 'the request for this key, signed by it; without it, another account that proves to have this key takes it over',
    },
    { name: 'days', value: 'N', help: 'valid for so many days, at most 366 (default 365)' },
    { name: 'replaces', value: 'SHA256:…', help: 'the key that it replaces; both are good for the overlap' },
    {
      name: 'overlap',
      value: 'DAYS',
      help: 'the old key ends after so many days (default: 14 days after the first use of the new one)',
    },
    { name: 'read-only', value: 'yes|no', help: 'sessions with this key may read and list only' },
    {
      name: 'networks',
      value: 'NET,…',
      help: 'the key is accepted from these networks only, in addition to the limits of its account',
    },
  ],
  help: 'Registers a public key for an account. A key belongs to one account, once.',
  example: 'cofferctl key add northbank --file id_ed25519.pub',
  operation: 'key.add',
  params: (given) => {
    const { proof, replaces, networks } = given.options;
    const publicKey = inputText(required(given, 'file')).trim();
    if (publicKey.includes('PRIVATE KEY'))
      throw new RangeError('that is a private key: it must never leave its owner. Give the .pub file');
    return {
      account: positional(given, 0),
      publicKey,
      ...only({
        proof: proof === undefined ? undefined : inputText(proof),
        expiresInDays: wholeNumber(given, 'days'),
        replaces,
        overlapDays: wholeNumber(given, 'overlap'),
        readOnly: yesNo(given, 'read-only'),
        networks: networks?.split(','),
      }),
    };
  },
  told: ({ fingerprint, isProved, expiresAt, retiresAt }, { account, replaces }) => {
    const retires = retiresAt === null ? 'after the first use of the new one' : when(retiresAt);
    const old = replaces === undefined ? '' : `${replaces} retires ${retires}\n`;
    const unproved = isProved
      ? ''
      : 'nobody has proved possession of this key: until its first use, another account that proves possession takes the key over\n';
    return `key ${fingerprint} registered for ${account}, valid until ${when(expiresAt)}\n${old}${unproved}`;
  },
});
