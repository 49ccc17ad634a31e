// Owns: `cofferctl account set`.
import { change } from '../verb/change.ts';
import { only, positional, yesNo } from '../verb/verb.ts';

export const accountSet = change({
  words: ['account', 'set'],
  positionals: ['NAME'],
  options: [
    { name: 'networks', value: 'NET,…|any', help: 'sources from which it may log in' },
    { name: 'read-only', value: 'yes|no', help: 'it may read and list, nothing else' },
    {
      name: 'manages',
      value: 'yes|no',
      help: "a person who opens windows of the customer's machine accounts and manages their keys over SSH",
    },
    { name: 'contact', value: 'TEXT', help: 'whom to tell' },
  ],
  help: 'Changes what an account may do and from where. Its open sessions end.',
  example: 'cofferctl account set northbank-batch --networks 192.0.2.0/24 --reason "contract of May"',
  operation: 'account.set',
  params: (given) => {
    const { networks, contact } = given.options;
    return {
      name: positional(given, 0),
      ...only({
        networks: networks === 'any' ? [] : networks?.split(','),
        readOnly: yesNo(given, 'read-only'),
        manages: yesNo(given, 'manages'),
        contact,
      }),
    };
  },
  told: ({ sessionsEnded }) => `account changed; ${sessionsEnded} sessions ended\n`,
});
