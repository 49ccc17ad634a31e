import { createHash } from 'node:crypto';
import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';
import { deliver, outOption, randomLetters } from '../secret.ts';

export const passwordIssue: Command = {
  words: ['password', 'issue'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'days', value: 'N', help: 'valid for so many days, at most 366 (default 365)' }, outOption],
  help: 'Makes a password for an account and shows it once. Persons use it with their code; machines with their key, from their networks only.',
  example: 'cofferctl password issue northbank-batch --out password.txt',
  run: async (client, given) => {
    const account = positional(given, 0);
    const expiresInDays = wholeNumber(given, 'days');
    const name = randomLetters(8);
    const password = `${name}-${randomLetters(32)}`;
    const digest = createHash('sha256').update(password).digest('hex');
    const { result, delivered } = await deliver(given, password, () =>
      client.call('password.issue', {
        account,
        name: `password:${name}`,
        digest,
        ...(expiresInDays === undefined ? {} : { expiresInDays }),
      }),
    );
    return {
      data: { account, credential: `password:${name}`, ...result, file: delivered.file, ...(delivered.file === null ? { password } : {}) },
      text: `password for ${account}:  ${delivered.text}\nits name is password:${name}; valid until ${when(result.expiresAt)}\nrevoke it with: cofferctl credential revoke password:${name} --reason TEXT --execute\n`,
    };
  },
};
