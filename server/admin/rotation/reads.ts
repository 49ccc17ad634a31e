// Owns: the handlers of what operators may read about rotations.
import type { rotationOperations } from '../../rpc/operators/rotation.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listRotations } from './rotation-queries.ts';
import { showRotation } from './rotation-report.ts';

export const rotationReads = ({ read }: Reading): Reads<typeof rotationOperations> => ({
  'rotation.list': async () => fitting('rotations', await read((tx) => listRotations(tx, null))),
  'rotation.show': async (params) => {
    const { rotation, items } = await read((tx) => showRotation(tx, params));
    return { rotation, ...fitting('items', items) };
  },
});
