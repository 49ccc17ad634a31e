// Owns: changes of what an account may do in the folders of customers.
// Must never: give a right on a folder of a customer that is not the account's own, unless the account is internal.
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId, FolderId, Verb } from '../../domain/ids.ts';
import { afterChange, gained, verbsOn } from '../../domain/rights.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Doing } from '../commands/doing.ts';
import { requireCustomer } from '../customers/customer-commands.ts';
import { foldersOf } from '../folders/folder-queries.ts';
import { type Right, rightsOf, writeRights } from '../folders/right-queries.ts';
import { record } from '../ledger/entries/record.ts';
import { purposeOf } from '../seals/declared.ts';
import { isFoundAltered } from '../seals/seals.ts';
import type { AccountRow } from './account-queries.ts';

type Asked = NonNullable<Params<OperatorToAdmin, 'account.set'>['rights']>[number];
/** What becomes of the rights on one folder. */
type Changed = Right & {
  readonly before: readonly Verb[];
  readonly customerName: string;
  readonly folderName: string;
};
type Planned = {
  readonly changed: readonly Changed[];
  readonly wider: readonly string[];
  /** Whether the account had any right before, and on which customers. */
  readonly hasAny: boolean;
  readonly customersBefore: ReadonlySet<CustomerId>;
  readonly isInternal: boolean;
};
type Account = Pick<AccountRow, 'id' | 'customer'> & { readonly name: string };

const inWords = (verbs: readonly Verb[]): string => (verbs.length === 0 ? 'nothing' : verbs.join(', '));

/** Returns the folders that one part of a change names, with the id of their customer. */
async function foldersNamed(
  { tx }: Doing,
  account: Account,
  { act, customer: customerName, folder }: Asked,
): Promise<{ readonly customer: CustomerId; readonly folders: Awaited<ReturnType<typeof foldersOf>> }> {
  const purpose = act === 'give' ? 'to-rely' : 'to-narrow';
  const customer = await requireCustomer(tx, customerName, purpose);
  if (account.customer !== null && account.customer !== customer)
    throw new CofferdamError(
      'invalid',
      `${account.name} is an account of another customer: it has no rights in folders of ${customerName}`,
    );
  const folders = await foldersOf(tx, customer, purpose, folder ?? null);
  if (folders.length === 0)
    throw new CofferdamError(
      'not-found',
      folder === undefined
        ? `customer ${customerName} has no folders`
        : `customer ${customerName} has no folder ${folder}`,
    );
  return { customer, folders };
}

/**
 * Finds out what a change of rights means for each folder that it names, without writing anything. Verbs that are not
 * named are all that the account may have there. Throws `invalid` for a verb that it may not have, and `conflict` when
 * nothing would change.
 */
export async function planRights(doing: Doing, account: Account, asked: readonly Asked[]): Promise<Planned> {
  const { tx, warden } = doing;
  const plane = account.customer === null ? 'internal' : 'partner';
  const isGiving = asked.some(({ act }) => act === 'give');
  const before = await rightsOf(tx, account.id, isGiving ? 'to-rely' : 'to-narrow');
  const isAltered = await isFoundAltered(tx, warden.keys, { kind: 'rights', id: account.id });
  const changed = new Map<FolderId, Changed>();
  for (const one of asked) {
    const { customer, folders } = await foldersNamed(doing, account, one);
    for (const folder of folders) {
      const may = verbsOn[plane][folder.direction];
      const beyond = (one.verbs ?? []).filter((verb) => !may.includes(verb));
      if (one.act === 'give' && beyond.length > 0)
        throw new CofferdamError(
          'invalid',
          `${account.name} cannot ${beyond.join(' or ')} in ${one.customer}/${folder.name}: ${plane === 'internal' ? 'an internal' : 'a partner'} account may ${may.join(', ')} in a ${folder.direction} folder`,
        );
      const had = before.find((right) => right.folder === folder.id)?.verbs ?? [];
      const known = changed.get(folder.id);
      const verbs = afterChange(known?.verbs ?? had, { act: one.act, verbs: one.verbs ?? may });
      changed.set(folder.id, {
        customer,
        folder: folder.id,
        verbs,
        before: had,
        customerName: one.customer,
        folderName: folder.name,
      });
    }
  }
  const all = [...changed.values()].filter((one) => isAltered || inWords(one.before) !== inWords(one.verbs));
  if (all.length === 0) throw new CofferdamError('conflict', `${account.name} has exactly these rights already`);
  return {
    changed: all,
    wider: all
      .filter((one) => gained(isAltered ? [] : one.before, one.verbs).length > 0 && isGiving)
      .map((one) => `what ${account.name} may do in ${one.customerName}/${one.folderName}`),
    hasAny: before.length > 0,
    customersBefore: new Set(before.map((right) => right.customer)),
    isInternal: plane === 'internal',
  };
}

/** Writes what `planRights` found, with an entry for each customer. The budgets of new customers are made with it. */
export async function changeRights(
  { tx, warden, operator }: Doing,
  account: AccountId,
  { changed, wider, hasAny, customersBefore, isInternal }: Planned,
  reason: string,
): Promise<void> {
  await writeRights(tx, account, changed, hasAny, purposeOf(wider));
  for (const customer of new Set(changed.map((one) => one.customer))) {
    if (!customersBefore.has(customer))
      await createBudgets(tx, { kind: 'account', account, customer, isInternal }, warden.budgets);
    await record(tx, {
      kind: 'account.rights-changed',
      customer,
      account,
      observer: 'warden',
      public: {
        rights: changed
          .filter((one) => one.customer === customer)
          .map((one) => ({ folder: one.folderName, before: one.before, after: one.verbs })),
      },
      sensitive: { reason, by: operator },
    });
  }
}
