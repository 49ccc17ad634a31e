// Owns: `cofferctl credential stale`.
import { read } from '../verb/read.ts';
import { credentialTable } from './selection.ts';

export const credentialStale = read({
  words: ['credential', 'stale'],
  help: 'Lists what nobody uses any more (dormant, or soon), and what expires within the warning time.',
  example: 'cofferctl credential stale',
  operation: 'credential.stale',
  text: ({ credentials }) => credentialTable(credentials, 'nothing is stale'),
});
