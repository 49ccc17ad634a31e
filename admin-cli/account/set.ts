// Owns: `cofferctl account set`.
import { change } from '../verb/change.ts';
import { only, positional, yesNo } from '../verb/verb.ts';
import { rightsIn, startNamed } from './rights.ts';

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
    {
      name: 'start',
      value: 'CUSTOMER/FOLDER|root|usual',
      help: 'where it starts after a login; usual is its folder when it has exactly one and may write there, and otherwise the root',
    },
    {
      name: 'give',
      value: 'CUSTOMER[/FOLDER][:VERB+…],…',
      help: 'what it may do in folders from now on; verbs are list, read, write, remove and done; without them those that a new account has there, which is never done',
    },
    { name: 'take', value: 'CUSTOMER[/FOLDER][:VERB+…],…', help: 'what it may not do in folders any more' },
  ],
  help: 'Changes what an account may do, in which folders and from where. Its open sessions end.',
  example: 'cofferctl account set northbank-batch --networks 192.0.2.0/24 --reason "contract of May"',
  operation: 'account.set',
  params: (given) => {
    const { networks, contact, give, take, start } = given.options;
    const rights = [
      ...(take === undefined ? [] : rightsIn('take', take)),
      ...(give === undefined ? [] : rightsIn('give', give)),
    ];
    return {
      name: positional(given, 0),
      ...only({
        networks: networks === 'any' ? [] : networks?.split(','),
        readOnly: yesNo(given, 'read-only'),
        manages: yesNo(given, 'manages'),
        contact,
        start: start === undefined ? undefined : startNamed(start),
        rights: rights.length === 0 ? undefined : rights,
      }),
    };
  },
  told: ({ sessionsEnded }) => `account changed; ${sessionsEnded} sessions ended\n`,
});
