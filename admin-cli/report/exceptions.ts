// Owns: `cofferctl report exceptions`.
import { read } from '../verb/read.ts';
import { windowTable } from '../window/window-table.ts';

export const reportExceptions = read({
  words: ['report', 'exceptions'],
  help: 'Lists exceptions to the policy: machine accounts that log in with their key alone, every week, and until when.',
  example: 'cofferctl report exceptions',
  operation: 'report.exceptions',
  text: ({ exceptions }) => windowTable(exceptions, 'no exceptions'),
});
