// Owns: `cofferctl change reject`.
import { executeOption, reasonOption } from '../verb/change.ts';
import { positional, required, type Verb } from '../verb/verb.ts';
import { fetchAndShow } from './shown.ts';

export const changeReject: Verb = {
  words: ['change', 'reject'],
  positionals: ['CHANGE'],
  options: [reasonOption(), executeOption('reject the change; without --execute only its text is shown')],
  help: 'Rejects a change for good; its proposer may take it back the same way.',
  example: 'cofferctl change reject 6f1c… --reason "not agreed with the bank" --execute',
  operations: ['change.reject', 'change.show'],
  run: async (client, given) => {
    const change = positional(given, 0);
    if (given.options.execute === undefined) {
      const { signed, hash, text } = await fetchAndShow(client, change);
      return { data: { ...signed, hash, executed: false }, text: `${text}\nNothing was done. --execute rejects it.\n` };
    }
    await client.call('change.reject', { change, reason: required(given, 'reason') });
    return { data: { change, executed: true }, text: `change ${change} rejected\n` };
  },
};
