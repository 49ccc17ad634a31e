// Owns: the handlers of what operators may read about operators.
import type { operatorOperations } from '../../rpc/operators/operator.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listOperators } from './operator-list-queries.ts';

export const operatorReads = ({ read }: Reading): Reads<typeof operatorOperations> => ({
  'operator.list': async () => fitting('operators', await read(listOperators)),
});
