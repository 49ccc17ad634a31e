// Owns: `cofferctl operator create`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';
import { certificateOption, ownCertificate, roleOf, roleOption } from './certificate.ts';

export const operatorCreate = change({
  words: ['operator', 'create'],
  positionals: ['NAME'],
  options: [roleOption, certificateOption],
  help: 'Makes an operator, by the certificate of a key that is their own.',
  example: 'cofferctl operator create dora --role operator --certificate dora.pem --reason "joined the team"',
  operation: 'operator.create',
  params: (given) => {
    const name = positional(given, 0);
    return { name, role: roleOf(given), publicKey: ownCertificate(given, name) };
  },
  told: ({ name, fingerprint }) => `operator ${name} made, with key ${fingerprint}\n`,
});
