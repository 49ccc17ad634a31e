// Owns: what operators do to customers: making them, renaming them, suspending and resuming them, and their
// authentication policy.
// Must never: leave a session open that the new state would not have opened, or give a customer a name that another one
// has or had.

import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId, FolderId } from '../../domain/ids.ts';
import { idOf } from '../../domain/ids.ts';
import { isChoiceWider } from '../../domain/widening.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Doing } from '../commands/doing.ts';
import { insertFolder, usualRules } from '../folders/folder-queries.ts';
import { record } from '../ledger/entries/record.ts';
import type { Purpose } from '../seals/declared.ts';
import { purposeOf } from '../seals/declared.ts';
import { isFoundAltered } from '../seals/seals.ts';
import { holdOpenings } from '../sessions/session-limit-queries.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import type { CustomerRow } from './customer-queries.ts';
import {
  findCustomer,
  findRenamed,
  insertCustomer,
  internalAccountsOf,
  setAllowedProofs,
  setCustomerName,
  setCustomerState,
} from './customer-queries.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

/** The most names that a customer had before: `customer.former_names` in the database has the same limit. */
const formerNamesMax = 20;
/** How many internal accounts the plan and the entry of a rename name. */
const internalAccountsMax = 100;

async function requireCustomerRow(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerRow> {
  const customer = await findCustomer(tx, name, purpose);
  if (customer !== undefined) return customer;
  const now = await findRenamed(tx, name);
  const hint = now === undefined ? '' : `: it was renamed, and is ${now} now`;
  throw new CofferdamError('not-found', `there is no customer named ${name}${hint}`);
}

/** Returns the id of a customer by name. Throws `not-found` when it does not exist. */
export async function requireCustomer(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerId> {
  return (await requireCustomerRow(tx, name, purpose)).id;
}

const taken = (name: string): CofferdamError =>
  new CofferdamError('conflict', `there is already a customer named ${name}`);

/**
 * Throws `conflict` when another customer had this name before (decision 54). Call it after the name was written: if a
 * rename gives the name up at the same moment, our write waited for its commit, so its former name is seen here.
 */
async function requireNeverAnothers(tx: Transaction, name: string, id: CustomerId): Promise<void> {
  const now = await findRenamed(tx, name, id);
  if (now === undefined) return;
  throw new CofferdamError(
    'conflict',
    `${name} was the name of the customer that is ${now} now: what was written of it then would pass for another's. Choose a name that no customer ever had`,
  );
}

export const customerUseCases = {
  'customer.create': async ({ name, reason }: P<'customer.create'>, { tx, warden, operator }: Doing) => {
    const id = idOf<CustomerId>(randomUUID());
    if (!(await insertCustomer(tx, id, name))) throw taken(name);
    await requireNeverAnothers(tx, name, id);
    await warden.keys.createCustomerKey(tx, id);
    await createBudgets(tx, { kind: 'customer', customer: id }, warden.budgets);
    for (const direction of ['deposit', 'collect'] as const)
      await insertFolder(tx, {
        id: idOf<FolderId>(randomUUID()),
        customer: id,
        name: direction,
        direction,
        ...usualRules(direction, warden.limits),
      });
    await record(tx, {
      kind: 'customer.created',
      customer: id,
      observer: 'warden',
      public: { name },
      sensitive: { by: operator, reason },
    });
    return { name, folders: ['deposit', 'collect'] };
  },

  'customer.rename': async ({ name, to, reason }: P<'customer.rename'>, { tx, endSessions, operator }: Doing) => {
    // The scope of a session is sealed with the name. Sessions that open now are found below; those that open later
    // have the new name. Those of internal accounts are among them.
    await holdOpenings(tx);
    const { id: customer, formerNames: before } = await requireCustomerRow(tx, name, 'to-rely');
    if (to === name) throw new CofferdamError('conflict', `customer ${name} has this name already`);
    const formerNames = [...before.filter((one) => one !== to), name];
    if (formerNames.length > formerNamesMax)
      throw new CofferdamError(
        'over-limit',
        `customer ${name} has had ${formerNamesMax} names before, which is as many as are kept`,
      );
    await lockForWithdrawal(tx, { customer });
    if (!(await setCustomerName(tx, customer, to, formerNames))) throw taken(to);
    await requireNeverAnothers(tx, to, customer);
    const internalAccounts = [...(await internalAccountsOf(tx, customer, internalAccountsMax))];
    await record(tx, {
      kind: 'customer.renamed',
      customer,
      observer: 'warden',
      public: { name: to, was: name },
      sensitive: { internalAccounts, reason, by: operator },
    });
    return { sessionsEnded: await endSessions({ customer }, `customer renamed: ${reason}`), internalAccounts };
  },

  'customer.suspend': async ({ name, reason }: P<'customer.suspend'>, { tx, endSessions, operator }: Doing) => {
    // Which accounts may reach this customer, internal ones included, is read while a session opens. Sessions that open
    // now are found below; those that open later see the suspension.
    await holdOpenings(tx);
    const customer = await requireCustomer(tx, name, 'to-narrow');
    await lockForWithdrawal(tx, { customer });
    if (!(await setCustomerState(tx, customer, 'suspended')))
      throw new CofferdamError('conflict', `customer ${name} is already suspended`);
    await record(tx, { kind: 'customer.suspended', customer, observer: 'warden', sensitive: { reason, by: operator } });
    return { sessionsEnded: await endSessions({ customer }, `customer suspended: ${reason}`) };
  },

  'customer.resume': async ({ name, reason }: P<'customer.resume'>, { tx, operator }: Doing) => {
    const customer = await requireCustomer(tx, name, 'to-rely');
    if (!(await setCustomerState(tx, customer, 'active')))
      throw new CofferdamError('conflict', `customer ${name} is not suspended`);
    await record(tx, { kind: 'customer.resumed', customer, observer: 'warden', sensitive: { reason, by: operator } });
    return {};
  },

  'customer.policy': async ({ name, allow, reason }: P<'customer.policy'>, doing: Doing) => {
    const { id: customer, allowed } = await requireCustomerRow(doing.tx, name, 'to-narrow');
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'customer', id: customer });
    const wider = isChoiceWider(isAltered ? null : allowed, allow) ? [`the proofs that suffice for ${name}`] : [];
    doing.widen(wider);
    await lockForWithdrawal(doing.tx, { customer });
    await setAllowedProofs(doing.tx, customer, allow, allow === null ? 'to-rely' : purposeOf(wider));
    await record(doing.tx, {
      kind: 'customer.policy-set',
      customer,
      observer: 'warden',
      sensitive: { allow, reason, by: doing.operator },
    });
    return { sessionsEnded: await doing.endSessions({ customer }, 'the authentication policy was changed') };
  },
};
