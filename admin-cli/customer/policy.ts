// Owns: `cofferctl customer policy`.
import { change } from '../verb/change.ts';
import { positional, required } from '../verb/verb.ts';

export const customerPolicy = change({
  words: ['customer', 'policy'],
  positionals: ['NAME'],
  options: [
    {
      name: 'allow',
      value: 'SET,…|all',
      help: 'key+code, password+code, security-key, key+certificate, key+password, key+window',
      required: true,
    },
  ],
  help: 'Says which sets of proofs may open a session of this customer: all that the gateway has, or fewer. Its open sessions end.',
  example: 'cofferctl customer policy northbank --allow key+code --reason "their own rule"',
  operation: 'customer.policy',
  params: (given) => {
    const allow = required(given, 'allow');
    return { name: positional(given, 0), allow: allow === 'all' ? null : allow.split(',') };
  },
  told: ({ sessionsEnded }) => `policy set; ${sessionsEnded} sessions ended\n`,
});
