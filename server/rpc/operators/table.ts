// Owns: every operation that an operator may call in the admin process, put together from one file for each noun. A row
// has the form of an operation (operation.ts), the least role, and whether the operation needs a second operator.
// Must never: contain an operation that returns the content of a file, or a secret of a customer.
// Calls of changing operations become rows of `command`. The warden validates the same parameters again and executes
// them.
import { accountOperations } from './account.ts';
import { alertOperations } from './alert.ts';
import { breakGlassOperations } from './break-glass.ts';
import { budgetOperations } from './budget.ts';
import { changeOperations } from './change.ts';
import { credentialOperations } from './credential.ts';
import { customerOperations } from './customer.ts';
import { fileOperations } from './file.ts';
import { folderOperations } from './folder.ts';
import { gatewayOperations } from './gateway.ts';
import { holdOperations } from './hold.ts';
import { incidentOperations } from './incident.ts';
import { keyOperations } from './key.ts';
import { ledgerOperations } from './ledger.ts';
import { ledgerEntryOperations } from './ledger-entries.ts';
import { mfaOperations } from './mfa.ts';
import { nodeOperations } from './node.ts';
import { operatorOperations } from './operator.ts';
import { passwordOperations } from './password.ts';
import { reportOperations } from './report.ts';
import { rotationOperations } from './rotation.ts';
import { sessionOperations } from './session.ts';
import { windowOperations } from './window.ts';
import type { OperatorRole } from './words.ts';

export type { OperatorRole } from './words.ts';

export const operatorToAdmin = {
  ...gatewayOperations,
  ...customerOperations,
  ...accountOperations,
  ...credentialOperations,
  ...keyOperations,
  ...rotationOperations,
  ...passwordOperations,
  ...mfaOperations,
  ...windowOperations,
  ...fileOperations,
  ...folderOperations,
  ...holdOperations,
  ...sessionOperations,
  ...budgetOperations,
  ...alertOperations,
  ...incidentOperations,
  ...ledgerOperations,
  ...ledgerEntryOperations,
  ...changeOperations,
  ...operatorOperations,
  ...breakGlassOperations,
  ...reportOperations,
  ...nodeOperations,
} as const;

export type OperatorToAdmin = typeof operatorToAdmin;
export type OperatorOperation = keyof OperatorToAdmin;

/**
 * Returns whether an operator of role `has` may call an operation whose least
 * role is `needs`. Auditors may read what viewers may read, and nothing more.
 */
export function mayCall(has: string, needs: OperatorRole): boolean {
  const ranks: Readonly<Record<OperatorRole, number>> = { viewer: 0, auditor: 0, operator: 1, 'security-officer': 2 };
  return Object.hasOwn(ranks, has) && ranks[has as OperatorRole] >= ranks[needs];
}
