// Owns: the handlers of what operators may read about alerts.
import type { alertOperations } from '../../rpc/operators/alert.ts';
import { pageOf } from '../reading/fitting.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listAlerts } from './alert-queries.ts';

export const alertReads = ({ read }: Reading): Reads<typeof alertOperations> => ({
  // Whoever asks for so many knows that there may be more.
  'alert.list': async ({ limit = rowsMax + 1 }) => pageOf('alerts', await read((tx) => listAlerts(tx, limit)), rowsMax),
});
