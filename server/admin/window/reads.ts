// Owns: the handlers of what operators may read about windows.
import type { windowOperations } from '../../rpc/operators/window.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listWindows } from './window-queries.ts';

export const windowReads = ({ read }: Reading): Reads<typeof windowOperations> => ({
  'window.list': async ({ account }) => fitting('windows', await read((tx) => listWindows(tx, account ?? null, false))),
});
