// Owns: the handlers of what operators may read about nodes.
import { CofferdamError } from '../../domain/errors.ts';
import type { nodeOperations } from '../../rpc/operators/node.ts';
import { pageOf } from '../reading/fitting.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { listNodes, listSessionsOfNode } from './node-queries.ts';

export const nodeReads = ({ read }: Reading): Reads<typeof nodeOperations> => ({
  'node.drain-plan': ({ node: name }) =>
    read(async (tx) => {
      const node = (await listNodes(tx)).find((one) => one.name === name);
      if (node === undefined)
        throw new CofferdamError('not-found', `there is no node named ${name}: see cofferctl status`);
      const { plane, alive, drainingUntil } = node;
      const sessions = pageOf('sessions', await listSessionsOfNode(tx, name, rowsMax + 1), rowsMax);
      return { plane, alive, drainingUntil: drainingUntil?.toISOString() ?? null, ...sessions };
    }),
});
