// Owns: the handlers of what operators may read about sessions.
import type { sessionOperations } from '../../rpc/operators/session.ts';
import { fitting } from '../reading/fitting.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listSessions } from './session-queries.ts';

export const sessionReads = ({ read }: Reading): Reads<typeof sessionOperations> => ({
  'session.list': async ({ all, limit }) =>
    fitting('sessions', await read((tx) => listSessions(tx, all ?? false, limit ?? rowsMax))),
});
