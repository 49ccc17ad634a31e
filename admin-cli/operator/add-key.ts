// Owns: `cofferctl operator add-key`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';
import { certificateOption, ownCertificate } from './certificate.ts';

export const operatorAddKey = change({
  words: ['operator', 'add-key'],
  positionals: ['NAME'],
  options: [certificateOption],
  help: 'Registers one more key of an operator, for a change of keys. The former one stays good until `operator end-key`.',
  example: 'cofferctl operator add-key dora --certificate dora-2027.pem --reason "yearly change of keys"',
  operation: 'operator.add-key',
  params: (given) => {
    const name = positional(given, 0);
    return { name, publicKey: ownCertificate(given, name) };
  },
  told: ({ fingerprint }, { name }) => `${name} may use key ${fingerprint} too\n`,
});
