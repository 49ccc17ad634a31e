// Owns: `cofferctl credential list`.
import { read } from '../verb/read.ts';
import { only } from '../verb/verb.ts';
import { credentialTable } from './selection.ts';

export const credentialList = read({
  words: ['credential', 'list'],
  options: [
    { name: 'customer', value: 'NAME', help: 'only of this customer' },
    { name: 'account', value: 'NAME', help: 'only of this account' },
    { name: 'state', value: 'STATE', help: 'pending, active, retiring, expired, dormant, suspended or revoked' },
  ],
  help: 'Lists keys and passwords: who issued them, their state, and when and from where they were last used.',
  example: 'cofferctl credential list --account acme-batch',
  operation: 'credential.list',
  params: ({ options: { customer, account, state } }) => only({ customer, account, state }),
  text: ({ credentials }) => credentialTable(credentials, 'no credentials'),
});
