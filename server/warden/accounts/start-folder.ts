// Owns: where operators let an account start: the folder in which its relative paths begin.
// Must never: choose a folder in which the account may do nothing.
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, FolderId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { requireCustomer } from '../customers/customer-commands.ts';
import { foldersOf } from '../folders/folder-queries.ts';
import { type Right, rightsOf } from '../folders/right-queries.ts';

type Asked = NonNullable<Params<OperatorToAdmin, 'account.set'>['start']>;

/**
 * Returns what the row of an account says about its start: a folder, the root, or null for what is usual. `changed` has
 * the rights that become others in the same transaction. Throws `not-found`, or `conflict` for a folder in which the
 * account may do nothing.
 */
export async function startAsked(
  tx: Transaction,
  account: { readonly id: AccountId; readonly name: string },
  asked: Asked,
  changed: readonly Right[],
): Promise<FolderId | 'root' | null> {
  if (asked === 'root') return 'root';
  if (asked === 'usual') return null;
  const customer = await requireCustomer(tx, asked.customer, 'to-rely');
  const [folder] = await foldersOf(tx, customer, 'to-rely', asked.folder);
  if (folder === undefined)
    throw new CofferdamError('not-found', `customer ${asked.customer} has no folder ${asked.folder}`);
  const rights = [...changed, ...(await rightsOf(tx, account.id, 'to-rely'))];
  const right = rights.find((one) => one.folder === folder.id);
  if (right === undefined || right.verbs.length === 0)
    throw new CofferdamError(
      'conflict',
      `${account.name} may do nothing in ${asked.customer}/${asked.folder}: give it a right there first`,
    );
  return folder.id;
}
