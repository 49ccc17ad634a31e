// Owns: `cofferctl account expire`.
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { positional, wholeNumber } from '../verb/verb.ts';

export const accountExpire = change({
  words: ['account', 'expire'],
  positionals: ['NAME'],
  options: [{ name: 'days', value: 'N|never', help: 'so many days from now; 0 = now', required: true }],
  help: 'Gives an account an end, or takes it away. Its open sessions end.',
  example: 'cofferctl account expire auditor-2026 --days 14 --reason "the audit ends"',
  operation: 'account.expire',
  params: (given) => {
    const isNever = given.options.days === 'never';
    return { name: positional(given, 0), inDays: isNever ? null : (wholeNumber(given, 'days') ?? 0) };
  },
  told: ({ expiresAt, sessionsEnded }) =>
    `the account ${expiresAt === null ? 'has no end' : `ends ${when(expiresAt)}`}; ${sessionsEnded} sessions ended\n`,
});
