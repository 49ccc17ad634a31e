// Owns: `cofferctl ledger release`.
import { changing, changingVerb, reasonOption } from '../verb/change.ts';
import { required } from '../verb/verb.ts';

export const ledgerRelease = changingVerb(
  {
    words: ['ledger', 'release'],
    positionals: ['FREEZE'],
    options: [reasonOption('why it is right to go on with this database')],
    help: 'lets a frozen gateway go on; what was witnessed beyond its database, or differs from it, is given up (needs a second operator)',
    example:
      'cofferctl ledger release 6f0c3c1e-… --reason "restored from the backup of 02:00 after the storage failure" --execute',
  },
  ['ledger.release', 'ledger.status'],
  async (client, given) => {
    const [id] = given.positionals;
    const { freeze } = await client.call('ledger.status', {});
    if (freeze === null || freeze.freeze !== id)
      throw new RangeError('there is no such freeze: see cofferctl ledger status');
    const { at: _at, text: _text, ...names } = freeze;
    return changing(
      client,
      given,
      'ledger.release',
      { ...names, reason: required(given, 'reason') },
      (result) => `released: era ${result.era} of the record begins; customers are served again within a second\n`,
    );
  },
);
