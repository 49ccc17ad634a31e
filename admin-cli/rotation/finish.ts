// Owns: `cofferctl rotation finish`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const rotationFinish = change({
  words: ['rotation', 'finish'],
  positionals: ['ROTATION'],
  options: [
    { name: 'now', value: null, help: 'retire the old keys of all who moved, before the overlap ends', required: true },
    {
      name: 'laggards',
      value: null,
      help: 'also of those who have not moved: they cannot log in with the old key any more',
    },
  ],
  help: 'Ends the overlap at once.',
  example: 'cofferctl rotation finish ROTATION --now --reason "all have moved"',
  operation: 'rotation.finish',
  params: (given) => ({ rotation: positional(given, 0), laggards: given.options.laggards !== undefined }),
  told: ({ retired, sessionsEnded }) => `${retired} old keys retired, ${sessionsEnded} sessions ended\n`,
});
