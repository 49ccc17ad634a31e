// Owns: the handlers of what operators may read about changes.
import { CofferdamError } from '../../domain/errors.ts';
import type { changeOperations } from '../../rpc/operators/change.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { findSigned, listChanges } from './change-queries.ts';

export const changeReads = ({ read }: Reading): Reads<typeof changeOperations> => ({
  'change.list': async ({ all, since }) =>
    fitting('changes', await read((tx) => listChanges(tx, { id: null, all: all ?? false, since: since ?? null }))),
  'change.show': ({ change }) =>
    read(async (tx) => {
      const [row] = await listChanges(tx, { id: change, all: true, since: null });
      const signed = await findSigned(tx, change);
      if (row === undefined || signed === undefined)
        throw new CofferdamError('not-found', 'there is no such change: see `cofferctl change list`');
      return { change: row, ...signed };
    }),
});
