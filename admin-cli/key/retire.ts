// Owns: `cofferctl key retire`.
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { positional, wholeNumber } from '../verb/verb.ts';

export const keyRetire = change({
  words: ['key', 'retire'],
  positionals: ['CREDENTIAL'],
  options: [
    { name: 'overlap', value: 'DAYS', help: 'for how many more days it stays good (default 14)' },
    { name: 'now', value: null, help: 'at once: its sessions end' },
  ],
  help: 'Retires a key or password: after an overlap, or at once.',
  example: 'cofferctl key retire SHA256:… --overlap 7 --reason "the new one is in use"',
  operation: 'key.retire',
  params: (given) => {
    const overlap = wholeNumber(given, 'overlap');
    if (given.options.now !== undefined && overlap !== undefined)
      throw new RangeError('give either --now or --overlap');
    return { fingerprint: positional(given, 0), overlapDays: given.options.now === undefined ? (overlap ?? 14) : 0 };
  },
  told: ({ retiresAt, sessionsEnded }) =>
    `the credential retires ${when(retiresAt)}; ${sessionsEnded} sessions ended\n`,
});
