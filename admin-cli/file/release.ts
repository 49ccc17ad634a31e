// Owns: `cofferctl file release`.
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { positional, wholeNumber } from '../verb/verb.ts';

export const fileRelease = change({
  words: ['file', 'release'],
  positionals: ['VERSION'],
  options: [{ name: 'days', value: 'N', help: 'for how long, 1 to 90 (default 7)' }],
  help: 'Makes a withdrawn version visible in its folder again for some days. Budgets and rights stay as they are.',
  example: 'cofferctl file release 6f1c… --days 3 --reason "the bank lost its copy"',
  operation: 'file.release',
  params: (given) => ({ version: positional(given, 0), days: wholeNumber(given, 'days') ?? 7 }),
  told: ({ until }) => `the version is visible in its folder again until ${when(until)}\n`,
});
