// Owns: the handlers of what operators may read about alerts.
import type { alertOperations } from '../../rpc/operators/alert.ts';
import { fitting } from '../reading/fitting.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listAlerts } from './alert-queries.ts';

export const alertReads = ({ read }: Reading): Reads<typeof alertOperations> => ({
  'alert.list': async ({ limit }) => fitting('alerts', await read((tx) => listAlerts(tx, limit ?? rowsMax))),
});
