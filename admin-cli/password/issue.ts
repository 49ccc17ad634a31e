// Owns: `cofferctl password issue`.
import { createHash } from 'node:crypto';
import { nextLine } from '../terminal/next-line.ts';
import { when } from '../terminal/output.ts';
import { randomLetters } from '../terminal/secret.ts';
import { changingVerb } from '../verb/change.ts';
import { changingWithSecret, outOption } from '../verb/secret-change.ts';
import { only, positional, wholeNumber } from '../verb/verb.ts';

export const passwordIssue = changingVerb(
  {
    words: ['password', 'issue'],
    positionals: ['ACCOUNT'],
    options: [{ name: 'days', value: 'N', help: 'valid for so many days, at most 366 (default 365)' }, outOption],
    help: 'Makes a password for an account and shows it once. Persons use it with their code; machines with their key, from their networks only.',
    example: 'cofferctl password issue northbank-batch --out password.txt',
  },
  ['password.issue'],
  async (client, given) => {
    const account = positional(given, 0);
    const name = randomLetters(8);
    const password = `${name}-${randomLetters(32)}`;
    const digest = createHash('sha256').update(password).digest('hex');
    const params = {
      account,
      name: `password:${name}`,
      digest,
      ...only({ expiresInDays: wholeNumber(given, 'days') }),
    };
    return changingWithSecret(client, given, 'password.issue', params, password, {
      data: { account, credential: `password:${name}` },
      name: 'password',
      text: (shown, result) =>
        `password for ${account}:  ${shown}\nits name is password:${name}; ${result === null ? 'good once it is approved' : `valid until ${when(result.expiresAt)}`}\nrevoke it with: ${nextLine(given, `credential revoke --credential password:${name} --reason TEXT --execute`)}\n`,
    });
  },
);
