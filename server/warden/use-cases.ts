// Owns: the table of what operators can have done: the use cases of all folders.
// Must never: hold a use case of its own but the answer that the warden lives.
import { accountUseCases } from './accounts/account-commands.ts';
import { budgetUseCases } from './budgets/budget-commands.ts';
import type { UseCases } from './commands/doing.ts';
import { credentialUseCases } from './credentials/credential-commands.ts';
import { customerUseCases } from './customers/customer-commands.ts';
import { folderUseCases } from './customers/folder-commands.ts';
import type { LedgerGuard } from './ledger/guard.ts';
import { ledgerUseCases, releaseUseCase } from './ledger/ledger-commands.ts';
import { nodeUseCases } from './nodes/node-commands.ts';
import { operatorUseCases } from './operators/operator-commands.ts';
import { retentionUseCases } from './retention/retention-commands.ts';
import { sessionUseCases } from './sessions/session-commands.ts';
import { windowUseCases } from './windows/window-commands.ts';

const always = {
  'warden.ping': async (_params, { warden }) => ({
    receiptKey: warden.keys.receiptPublicKey.id,
    hostKeys: [...warden.hostKeyLines],
  }),
  ...customerUseCases,
  ...folderUseCases,
  ...accountUseCases,
  ...windowUseCases,
  ...credentialUseCases,
  ...budgetUseCases,
  ...retentionUseCases,
  ...sessionUseCases,
  ...nodeUseCases,
  ...operatorUseCases,
  ...ledgerUseCases,
} as const satisfies UseCases;

/** Returns all use cases. A release is judged by what the guard of this warden found. */
export const useCasesOf = (guard: Pick<LedgerGuard, 'found'>) =>
  ({ ...always, ...releaseUseCase(guard) }) as const satisfies UseCases;
