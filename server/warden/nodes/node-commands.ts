// Owns: the operators' commands to an edge.
import { CofferdamError } from '../../domain/errors.ts';
import { idOf, type NodeName } from '../../domain/ids.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Doing } from '../commands/doing.ts';
import { record } from '../ledger/entries/record.ts';
import { orderDrain } from './node-queries.ts';

export const nodeUseCases = {
  /**
   * The order is written into the node's row, and the lease carries it: the edge hears of it with its next renewal,
   * whichever warden it is connected to (decision 0014).
   */
  'node.drain': async (
    { node, reason, withinMinutes }: Params<OperatorToAdmin, 'node.drain'>,
    { tx, operator }: Doing,
  ): Promise<Result<OperatorToAdmin, 'node.drain'>> => {
    const ordered = await orderDrain(tx, { node, withinMs: withinMinutes * 60_000, reason, operator });
    if (ordered === undefined)
      throw new CofferdamError('not-found', `there is no node named ${node}: see cofferctl status`);
    if (!ordered.isConnected)
      throw new CofferdamError('conflict', `${node} is not connected: there is nothing to drain`);
    await record(tx, {
      kind: 'node.drain-ordered',
      node: idOf<NodeName>(node),
      observer: 'warden',
      sensitive: { operator, reason, withinMinutes, sessions: ordered.sessions },
    });
    return { until: ordered.until.toISOString(), sessions: ordered.sessions };
  },
};
