// Owns: the handlers of what operators may read about reports.
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { reportOperations } from '../../rpc/operators/report.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { dormantMs } from '../credential/credential-reports.ts';
import { fitting, pageOf } from '../reading/fitting.ts';
import { requireAccountNamed, requireCustomerNamed } from '../reading/names.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listWindows } from '../window/window-queries.ts';
import { listAccess } from './access-queries.ts';
import { accessRow } from './access-report.ts';
import { listChangesDone } from './changes-queries.ts';
import { listKeyExchangeUse } from './key-exchange-queries.ts';

/** Throws `not-found` for a name that does not exist. An empty review of it would otherwise be taken for the truth. */
async function requireNamed(tx: Transaction, params: Params<OperatorToAdmin, 'report.access'>): Promise<void> {
  await requireCustomerNamed(tx, params.customer);
  await requireAccountNamed(tx, params.account);
}

export const reportReads = ({ config, read }: Reading): Reads<typeof reportOperations> => ({
  'report.changes': async ({ since, after }) => {
    const rows = await read((tx) => listChangesDone(tx, since, after ?? null, rowsMax + 1));
    return pageOf('changes', rows, rowsMax);
  },
  'report.exceptions': async () => fitting('exceptions', await read((tx) => listWindows(tx, null, true))),
  'report.access': async (params) => {
    const rows = await read(async (tx) => {
      const found = await listAccess(tx, dormantMs(config.credentials), params, rowsMax);
      if (found.length === 0 && params.after === undefined) await requireNamed(tx, params);
      return found;
    });
    const page = fitting('rows', rows.map(accessRow));
    return { ...page, more: page.more || rows.length === rowsMax };
  },
  'report.key-exchange': async () => fitting('accounts', await read((tx) => listKeyExchangeUse(tx))),
});
