// Owns: the handlers of all operations of operators: what is read, put together from one file for each noun, and every
// operation that changes something, which is sent to the warden as a command.
import type { Handlers } from '../rpc/operation.ts';
import { type OperatorToAdmin, operatorToAdmin } from '../rpc/operators/table.ts';
import { accountReads } from './account/reads.ts';
import { alertReads } from './alert/reads.ts';
import { breakGlassReads } from './break-glass/reads.ts';
import { budgetReads } from './budget/reads.ts';
import { changeReads } from './change/reads.ts';
import { credentialReads } from './credential/reads.ts';
import { customerReads } from './customer/reads.ts';
import { fileReads } from './file/reads.ts';
import { gatewayReads } from './gateway/reads.ts';
import { holdReads } from './hold/reads.ts';
import { incidentReads } from './incident/reads.ts';
import type { Scopes } from './incident/scopes.ts';
import { ledgerReads } from './ledger/reads.ts';
import type { Verifications } from './ledger/verification.ts';
import { nodeReads } from './node/reads.ts';
import { operatorReads } from './operator/reads.ts';
import type { OperatorCaller, Reading, Reads } from './reading/reading.ts';
import { reportReads } from './report/reads.ts';
import { rotationReads } from './rotation/reads.ts';
import { sessionReads } from './session/reads.ts';
import { windowReads } from './window/reads.ts';

export function adminHandlers(
  at: Reading,
  scopes: Scopes,
  verifications: Verifications,
): Handlers<OperatorToAdmin, OperatorCaller> {
  const reads: Reads<OperatorToAdmin> = {
    ...accountReads(at),
    ...alertReads(at),
    ...breakGlassReads(at),
    ...budgetReads(at),
    ...changeReads(at),
    ...credentialReads(at),
    ...customerReads(at),
    ...fileReads(at),
    ...gatewayReads(at),
    ...holdReads(at),
    ...incidentReads(at, scopes),
    ...ledgerReads(at, { verifications, archives: () => scopes.archives() }),
    ...nodeReads(at),
    ...operatorReads(at),
    ...reportReads(at),
    ...rotationReads(at),
    ...sessionReads(at),
    ...windowReads(at),
  };
  const changes = Object.fromEntries(
    Object.entries(operatorToAdmin)
      .filter(([, row]) => row.changes)
      .map(([operation]) => [
        operation,
        async (params: unknown, caller: OperatorCaller): Promise<unknown> =>
          at.commands.send((await caller.operator()).id, operation, params),
      ]),
  );
  return { ...reads, ...changes } as Handlers<OperatorToAdmin, OperatorCaller>;
}
