import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber, yesNo } from '../command.ts';
import { inputText } from '../input-file.ts';
import { when } from '../output.ts';

export const keyAdd: Command = {
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
    { name: 'overlap', value: 'DAYS', help: 'the old key ends after so many days (default: 14 days after the first use of the new one)' },
    { name: 'read-only', value: 'yes|no', help: 'sessions with this key may read and list only' },
    { name: 'networks', value: 'NET,…', help: 'the key is accepted from these networks only, in addition to the limits of its account' },
  ],
  help: 'Registers a public key for an account. A key belongs to one account, once.',
  example: 'cofferctl key add northbank --file id_ed25519.pub',
  changes: true,
  run: async (client, given) => {
    const account = positional(given, 0);
    const { file, replaces, networks } = given.options;
    const publicKey = inputText(file ?? '-').trim();
    if (publicKey.includes('PRIVATE KEY')) throw new RangeError('that is a private key: it must never leave its owner. Give the .pub file');
    const proof = given.options.proof === undefined ? undefined : inputText(given.options.proof);
    const expiresInDays = wholeNumber(given, 'days');
    const overlapDays = wholeNumber(given, 'overlap');
    const readOnly = yesNo(given, 'read-only');
    return changing(
      client,
      given,
      'key.add',
      {
        account,
        publicKey,
        ...(proof === undefined ? {} : { proof }),
        ...(expiresInDays === undefined ? {} : { expiresInDays }),
        ...(replaces === undefined ? {} : { replaces }),
        ...(overlapDays === undefined ? {} : { overlapDays }),
        ...(readOnly === undefined ? {} : { readOnly }),
        ...(networks === undefined ? {} : { networks: networks.split(',') }),
      },
      (data) => {
        const old =
          replaces === undefined
            ? ''
            : `${replaces} retires ${data.retiresAt === null ? 'after the first use of the new one' : when(data.retiresAt)}\n`;
        const unproved = data.isProved
          ? ''
          : 'nobody has proved possession of this key: until its first use, another account that proves possession takes the key over\n';
        return `key ${data.fingerprint} registered for ${account}, valid until ${when(data.expiresAt)}\n${old}${unproved}`;
      },
    );
  },
};

export const keyRetire: Command = {
  words: ['key', 'retire'],
  positionals: ['CREDENTIAL'],
  options: [
    { name: 'overlap', value: 'DAYS', help: 'for how many more days it stays good (default 14)' },
    { name: 'now', value: null, help: 'at once: its sessions end' },
    { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true },
  ],
  help: 'Retires a key or password: after an overlap, or at once.',
  example: 'cofferctl key retire SHA256:… --overlap 7 --reason "the new one is in use"',
  changes: true,
  run: async (client, given) => {
    const overlap = wholeNumber(given, 'overlap');
    if (given.options.now !== undefined && overlap !== undefined) throw new RangeError('give either --now or --overlap');
    const overlapDays = given.options.now === undefined ? (overlap ?? 14) : 0;
    return changing(
      client,
      given,
      'key.retire',
      { fingerprint: positional(given, 0), overlapDays, reason: given.options.reason ?? '' },
      (data) => `the credential retires ${when(data.retiresAt)}; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

export const keyConfirm: Command = {
  words: ['key', 'confirm'],
  positionals: ['CREDENTIAL'],
  options: [{ name: 'reason', value: 'TEXT', help: 'how its holder was asked; goes on the record', required: true }],
  help: 'A key that its customer asked for over SSH is good at once instead of after the waiting time.',
  example: 'cofferctl key confirm SHA256:… --reason "called back"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'key.confirm',
      { fingerprint: positional(given, 0), reason: given.options.reason ?? '' },
      () => 'the key is good now\n',
    );
  },
};
