// Owns: the handlers of what operators may read about customers.
import { CofferdamError } from '../../domain/errors.ts';
import type { customerOperations } from '../../rpc/operators/customer.ts';
import { listAccounts } from '../account/account-queries.ts';
import { pageOf } from '../reading/fitting.ts';
import { requireCustomerNamed } from '../reading/names.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listCustomers, listFolders } from './customer-queries.ts';

export const customerReads = ({ read }: Reading): Reads<typeof customerOperations> => ({
  'customer.list': async ({ limit = rowsMax, after }) =>
    pageOf('customers', await read((tx) => listCustomers(tx, null, limit + 1, after)), limit),
  'customer.show': ({ name }) =>
    read(async (tx) => {
      await requireCustomerNamed(tx, name);
      const [customer] = await listCustomers(tx, name, 1);
      if (customer === undefined) throw new CofferdamError('not-found', `there is no customer named ${name}`);
      return { customer, folders: [...(await listFolders(tx, name))], accounts: [...(await listAccounts(tx, name))] };
    }),
});
