// Owns: `cofferctl operator set-role`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';
import { roleOf, roleOption } from './certificate.ts';

export const operatorSetRole = change({
  words: ['operator', 'set-role'],
  positionals: ['NAME'],
  options: [roleOption],
  help: 'Gives an operator another role.',
  example: 'cofferctl operator set-role dora --role auditor --reason "moved to audit"',
  operation: 'operator.set-role',
  params: (given) => ({ name: positional(given, 0), role: roleOf(given) }),
  told: (_result, { name, role }) => `${name} is ${role} now\n`,
});
