// Owns: `cofferctl rotation undo`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const rotationUndo = change({
  words: ['rotation', 'undo'],
  positionals: ['ROTATION'],
  help: 'Takes a rotation back: old keys that have not retired are good as before; new ones stay.',
  example: 'cofferctl rotation undo ROTATION --reason "the wrong customer"',
  operation: 'rotation.undo',
  params: (given) => ({ rotation: positional(given, 0) }),
  told: ({ restored }) => `${restored} old keys are good as before\n`,
});
