// Owns: the handlers of what operators may read about accounts.
import type { accountOperations } from '../../rpc/operators/account.ts';
import { fitting } from '../reading/fitting.ts';
import { requireCustomerNamed } from '../reading/names.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listAccounts } from './account-queries.ts';

export const accountReads = ({ read }: Reading): Reads<typeof accountOperations> => ({
  'account.list': async ({ customer }) =>
    fitting(
      'accounts',
      await read(async (tx) => {
        await requireCustomerNamed(tx, customer);
        return listAccounts(tx, customer ?? null);
      }),
    ),
});
