// Owns: the handlers of what operators may read about sessions.
import type { sessionOperations } from '../../rpc/operators/session.ts';
import { pageOf } from '../reading/fitting.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listSessions } from './session-queries.ts';

export const sessionReads = ({ read }: Reading): Reads<typeof sessionOperations> => ({
  // Whoever asks for so many knows that there may be more.
  'session.list': async ({ all = false, limit = rowsMax + 1 }) =>
    pageOf('sessions', await read((tx) => listSessions(tx, all, limit)), rowsMax),
});
