// Owns: the handlers of what operators may read about prepared emergencies.
import type { breakGlassOperations } from '../../rpc/operators/break-glass.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listBreakGlasses } from './break-glass-queries.ts';

export const breakGlassReads = ({ read }: Reading): Reads<typeof breakGlassOperations> => ({
  'break-glass.list': async () => fitting('breakGlasses', await read(listBreakGlasses)),
});
