// Owns: changes of what an account may do in the folders of customers.
// Must never: give a right on a folder of a customer that is not the account's own, unless the account is internal.
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId, FolderId, Verb } from '../../domain/ids.ts';
import { afterChange, allowedVerbs, gained, verbs, verbsOn } from '../../domain/rights.ts';
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

/** A folder, and the verbs that a part of a change means there when it names none. */
type NamedFolder = { readonly id: FolderId; readonly name: string; readonly usual: readonly Verb[] };

/**
 * Returns the folders on which a part of a change gives rights. Everything that this rests on must be what the warden
 * wrote.
 */
async function foldersToGive({ tx }: Doing, account: Account, asked: Asked, customer: CustomerId) {
  if (account.customer !== null && account.customer !== customer)
    throw new CofferdamError(
      'invalid',
      `${account.name} is an account of another customer: it gets no rights in folders of ${asked.customer}`,
    );
  const plane = account.customer === null ? 'internal' : 'partner';
  return (await foldersOf(tx, customer, 'to-rely', asked.folder ?? null)).map(
    ({ id, name, direction }): NamedFolder => {
      const allowed = allowedVerbs(plane, direction);
      const beyond = (asked.verbs ?? []).filter((verb) => !allowed.includes(verb));
      if (beyond.length > 0)
        throw new CofferdamError(
          'invalid',
          `${account.name} cannot have ${beyond.join(' or ')} in ${asked.customer}/${name}: ${plane === 'internal' ? 'an internal' : 'a partner'} account may have ${allowed.join(', ')} in a ${direction} folder`,
        );
      return { id, name, usual: verbsOn[plane][direction] };
    },
  );
}

/**
 * Returns the folders on which a part of a change takes rights away. The account's own rights say which they are: what
 * else stands in the database may have been altered, and must not keep a right in place.
 */
async function foldersToTake({ tx }: Doing, before: readonly Right[], asked: Asked, customer: CustomerId) {
  const named = await foldersOf(tx, customer, 'to-narrow', asked.folder ?? null);
  const nameOf = new Map(named.map(({ id, name }) => [id, name]));
  const own = before.filter((right) => right.customer === customer).map(({ folder }) => folder);
  const ids = new Set([...nameOf.keys(), ...(asked.folder === undefined ? own : [])]);
  return [...ids].map((id): NamedFolder => ({ id, name: nameOf.get(id) ?? id, usual: verbs }));
}

/**
 * Finds out what a change of rights means for each folder that it names, without writing anything. Where no verbs are
 * named, the usual ones are given, or all are taken. Throws `invalid` for a verb that it may not have, and `conflict`
 * when nothing would change.
 */
export async function planRights(doing: Doing, account: Account, asked: readonly Asked[]): Promise<Planned> {
  const { tx, warden } = doing;
  const isGiving = asked.some(({ act }) => act === 'give');
  const before = await rightsOf(tx, account.id, isGiving ? 'to-rely' : 'to-narrow');
  const isAltered = await isFoundAltered(tx, warden.keys, { kind: 'rights', id: account.id });
  const changed = new Map<FolderId, Changed>();
  for (const one of asked) {
    const { act } = one;
    const customer = await requireCustomer(tx, one.customer, act === 'give' ? 'to-rely' : 'to-narrow');
    const folders = await (act === 'give'
      ? foldersToGive(doing, account, one, customer)
      : foldersToTake(doing, before, one, customer));
    if (folders.length === 0)
      throw new CofferdamError(
        'not-found',
        one.folder === undefined
          ? `customer ${one.customer} has no folders`
          : `customer ${one.customer} has no folder ${one.folder}`,
      );
    for (const { id, name, usual } of folders) {
      const had = before.find((right) => right.folder === id)?.verbs ?? [];
      const after = afterChange(changed.get(id)?.verbs ?? had, { act, verbs: one.verbs ?? usual });
      changed.set(id, {
        customer,
        folder: id,
        verbs: after,
        before: had,
        customerName: one.customer,
        folderName: name,
      });
    }
  }
  const isKept = (one: Changed): boolean => !isAltered && one.before.join() === one.verbs.join();
  // A right that never was there is not made in order to take it away.
  const all = [...changed.values()].filter(
    (one) => !isKept(one) && (one.verbs.length > 0 || before.some((right) => right.folder === one.folder)),
  );
  if (all.length === 0) throw new CofferdamError('conflict', `${account.name} has exactly these rights already`);
  return {
    changed: all,
    wider: all
      .filter((one) => isGiving && gained(isAltered ? [] : one.before, one.verbs).length > 0)
      .map((one) => `what ${account.name} may do in ${one.customerName}/${one.folderName}`),
    hasAny: before.length > 0,
    customersBefore: new Set(before.map((right) => right.customer)),
    isInternal: account.customer === null,
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
