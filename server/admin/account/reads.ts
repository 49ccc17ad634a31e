// Owns: the handlers of what operators may read about accounts.
import { CofferdamError } from '../../domain/errors.ts';
import type { accountOperations } from '../../rpc/operators/account.ts';
import { fitting } from '../reading/fitting.ts';
import { requireCustomerNamed } from '../reading/names.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listAccounts, listRights } from './account-queries.ts';

export const accountReads = ({ read }: Reading): Reads<typeof accountOperations> => ({
  'account.list': async ({ customer }) =>
    fitting(
      'accounts',
      await read(async (tx) => {
        await requireCustomerNamed(tx, customer);
        return listAccounts(tx, customer ?? null);
      }),
    ),
  'account.show': async ({ name }) => {
    const { account, rights } = await read(async (tx) => ({
      account: (await listAccounts(tx, null, name))[0],
      rights: await listRights(tx, name, rowsMax + 1),
    }));
    if (account === undefined) throw new CofferdamError('not-found', `there is no account named ${name}`);
    return { account, rights: rights.slice(0, rowsMax), more: rights.length > rowsMax };
  },
});
