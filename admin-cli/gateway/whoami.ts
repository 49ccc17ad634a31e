// Owns: `cofferctl whoami`.
import type { Verb } from '../verb/verb.ts';

export const whoami: Verb = {
  words: ['whoami'],
  positionals: [],
  options: [],
  help: 'Shows which operator this certificate is, and its role.',
  example: 'cofferctl whoami',
  operations: ['whoami'],
  run: async (client) => {
    const { operator, role } = await client.self();
    return { data: { operator, role }, text: `${operator} (${role})\n` };
  },
};
