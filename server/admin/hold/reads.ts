// Owns: the handlers of what operators may read about holds.
import type { holdOperations } from '../../rpc/operators/hold.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listHolds } from './hold-queries.ts';

export const holdReads = ({ read }: Reading): Reads<typeof holdOperations> => ({
  'hold.list': async () => fitting('holds', await read((tx) => listHolds(tx))),
});
