// Owns: what operators do to sessions.
import { CofferdamError } from '../../domain/errors.ts';
import type { SessionId } from '../../domain/ids.ts';
import { idOf } from '../../domain/ids.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Doing } from '../commands/doing.ts';
import { isSessionOpen } from './session-queries.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

export const sessionUseCases = {
  'session.end': async ({ session, reason }: P<'session.end'>, { tx, endSessions }: Doing) => {
    if (!(await isSessionOpen(tx, session)))
      throw new CofferdamError('not-found', 'there is no open session with this id');
    return {
      ended: (await endSessions({ session: idOf<SessionId>(session) }, `ended by an operator: ${reason}`)) === 1,
    };
  },
};
