// Owns: `cofferctl rotation list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const rotationList = read({
  words: ['rotation', 'list'],
  help: 'Lists rotations of keys and how far they are.',
  example: 'cofferctl rotation list',
  operation: 'rotation.list',
  text: ({ rotations }) =>
    table({
      columns: ['ROTATION', 'OF', 'STARTED', 'OLD KEYS END', 'KEYS', 'NEW KEYS', 'MOVED', 'RETIRED', 'NOT MOVED'],
      rows: rotations.map((one) => [
        one.rotation,
        one.selection,
        when(one.startedAt),
        one.undoneAt === null ? when(one.deadline) : 'undone',
        one.keys,
        one.staged,
        one.moved,
        one.retired,
        one.laggards,
      ]),
      empty: 'no rotations',
    }),
});
