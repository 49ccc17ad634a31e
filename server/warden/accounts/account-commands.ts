// Owns: what operators do to accounts: making them, locks, ends, networks.
// Must never: leave a session open that the new state would not have opened.

import { randomUUID } from 'node:crypto';
import { areBound, boundBitsMin, tooWide } from '../../domain/addresses.ts';
import { isDemoAccount } from '../../domain/demo-accounts.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import { idOf } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { verbsOn } from '../../domain/rights.ts';
import { areNetworksWider, isBoundWider } from '../../domain/widening.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Doing } from '../commands/doing.ts';
import { requireCustomer } from '../customers/customer-commands.ts';
import { foldersOf } from '../folders/folder-queries.ts';
import { insertRight } from '../folders/right-queries.ts';
import { forgetGuesses } from '../guesses/penalty-queries.ts';
import { record } from '../ledger/entries/record.ts';
import { type Purpose, purposeOf } from '../seals/declared.ts';
import { isFoundAltered } from '../seals/seals.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import {
  type AccountRow,
  changeAccount,
  findAccountByName,
  insertAccount,
  setAccountEnd,
  setAccountState,
} from './account-queries.ts';
import { changeRights, planRights } from './right-changes.ts';
import { startAsked } from './start-folder.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

const unknown = (what: string, name: string): CofferdamError =>
  new CofferdamError('not-found', `there is no ${what} named ${name}`);

/** Returns an account by name. Throws `not-found` when it does not exist. */
export async function requireAccount(tx: Transaction, name: string, purpose: Purpose): Promise<AccountRow> {
  const account = await findAccountByName(tx, name, purpose);
  if (account === undefined) throw unknown('account', name);
  return account;
}

export async function recordAccount(
  doing: Doing,
  kind: EntryKind,
  account: AccountRow,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  await record(doing.tx, {
    kind,
    customer: account.customer,
    account: account.id,
    observer: 'warden',
    sensitive: { ...facts, by: doing.operator },
  });
}

async function giveRights(
  { tx, warden }: Doing,
  account: AccountId,
  plane: 'partner' | 'internal',
  customer: CustomerId,
): Promise<void> {
  for (const folder of await foldersOf(tx, customer, 'to-rely'))
    await insertRight(tx, account, customer, folder.id, verbsOn[plane][folder.direction]);
  await createBudgets(tx, { kind: 'account', account, customer, isInternal: plane === 'internal' }, warden.budgets);
}

/** Returns, for the plan and the record, the networks that restrict logins but are too wide to count as a bound. */
const unboundIn = (networks: readonly string[] | undefined): { readonly tooWideToBind?: readonly string[] } => {
  const wide = tooWide(networks ?? []);
  return wide.length === 0 ? {} : { tooWideToBind: wide };
};

export const accountUseCases = {
  'account.create': async (params: P<'account.create'>, doing: Doing) => {
    const { tx } = doing;
    if (params.plane === 'partner' && params.manages === true && params.kind !== 'person')
      throw new CofferdamError('invalid', 'only a person manages other accounts');
    const id = idOf<AccountId>(randomUUID());
    const customers: CustomerId[] = [];
    for (const name of params.plane === 'partner' ? [params.customer] : params.customers)
      customers.push(await requireCustomer(tx, name, 'to-rely'));
    const made = await insertAccount(tx, {
      id,
      name: params.name,
      customer: params.plane === 'partner' ? (customers[0] ?? null) : null,
      kind: params.kind,
      plane: params.plane,
      contact: params.contact ?? null,
      isDemo: doing.warden.isDemo && isDemoAccount(params.name),
      manages: params.plane === 'partner' && params.manages === true,
    });
    if (!made) throw new CofferdamError('conflict', `there is already an account named ${params.name}`);
    for (const customer of new Set(customers)) await giveRights(doing, id, params.plane, customer);
    const { plane, kind, name } = params;
    for (const customer of new Set(customers))
      await record(tx, {
        kind: 'account.created',
        customer,
        account: id,
        observer: 'warden',
        public: { name, kind, plane },
        sensitive: { rights: verbsOn[plane], by: doing.operator },
      });
    return { name };
  },

  'account.lock': async ({ name, reason }: P<'account.lock'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    await lockForWithdrawal(doing.tx, { account: account.id });
    if (!(await setAccountState(doing.tx, account.id, 'suspended')))
      throw new CofferdamError('conflict', `account ${name} is locked already`);
    await recordAccount(doing, 'account.locked', account, { reason });
    return { sessionsEnded: await doing.endSessions({ account: account.id }, `account locked: ${reason}`) };
  },

  'account.end-sessions': async ({ name, reason }: P<'account.end-sessions'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    const sessionsEnded = await doing.endSessions({ account: account.id }, `ended by an operator: ${reason}`, {
      end: 'operator',
    });
    if (sessionsEnded === 0) throw new CofferdamError('conflict', `no session of account ${name} is open`);
    return { sessionsEnded };
  },

  'account.unlock': async ({ name, reason }: P<'account.unlock'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-rely');
    const wasLocked = await setAccountState(doing.tx, account.id, 'active');
    const countersCleared = await forgetGuesses(doing.tx, account.id);
    if (!wasLocked && countersCleared === 0)
      throw new CofferdamError('conflict', `account ${name} is not locked, and no guess against it failed`);
    await recordAccount(doing, 'account.unlocked', account, { reason, wasLocked, countersCleared });
    return { wasLocked, countersCleared };
  },

  'account.expire': async ({ name, inDays, reason }: P<'account.expire'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    await lockForWithdrawal(doing.tx, { account: account.id });
    const livesMs = inDays === null ? null : inDays * doing.warden.ages.dayMs;
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'account', id: account.id });
    // The row was altered, so its present end is not believed. Against no end at all, any end is narrower.
    const before = isAltered ? null : (account.expiresAt?.getTime() ?? null);
    const isWider = isBoundWider(before, livesMs === null ? null : Date.now() + livesMs);
    const wider = isWider ? [`the end of ${name}`] : [];
    // Removing the end takes nothing away, whatever the row says now.
    const expiresAt = await setAccountEnd(
      doing.tx,
      account.id,
      livesMs,
      livesMs === null ? 'to-rely' : purposeOf(wider),
    );
    // The end is compared once more as the database's clock has set it.
    const isLater = isBoundWider(before, expiresAt?.getTime() ?? null);
    doing.widen(isLater ? [`the end of ${name}`] : wider);
    await recordAccount(doing, 'account.end-set', account, { reason, expiresAt: expiresAt?.toISOString() ?? null });
    // An open session carries the end that its login saw, so it is ended; the next login sees the new end.
    const sessionsEnded =
      expiresAt === null ? 0 : await doing.endSessions({ account: account.id }, 'the account was given an end');
    return { expiresAt: expiresAt?.toISOString() ?? null, sessionsEnded };
  },

  'account.set': async ({ name, reason, rights, start, ...wanted }: P<'account.set'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    if (rights === undefined && start === undefined && Object.values(wanted).every((value) => value === undefined))
      throw new CofferdamError('invalid', 'nothing to change was named');
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'account', id: account.id });
    if (wanted.manages === true && account.kind !== 'person')
      throw new CofferdamError('conflict', 'only a person manages other accounts');
    if (
      !isAltered &&
      wanted.networks !== undefined &&
      !areBound(wanted.networks) &&
      account.kind === 'machine' &&
      account.hasPassword
    )
      throw new CofferdamError(
        'conflict',
        `a machine's password needs source networks, of /${boundBitsMin.ipv4} or narrower (IPv6: /${boundBitsMin.ipv6}): revoke the password first`,
      );
    // When the row was altered, its networks are not compared. Then only a value that restricts nothing counts as
    // wider.
    const isOpener = (networks: readonly string[]): boolean =>
      isAltered ? networks.length === 0 : areNetworksWider(account.networks, networks);
    const wider = [
      ...(wanted.networks !== undefined && isOpener(wanted.networks) ? [`the networks of ${name}`] : []),
      ...(wanted.readOnly === false && (isAltered || account.readOnly) ? [`what ${name} may write`] : []),
      ...(wanted.manages === true && (isAltered || !account.manages) ? [`whom ${name} manages`] : []),
      // The contact is the person who is told what happens to the account.
      ...(wanted.contact !== undefined && account.contact !== null && wanted.contact !== account.contact
        ? [`the contact of ${name}`]
        : []),
      // What is sent without a folder goes there: of an account of ours, perhaps to another customer.
      ...(start !== undefined && start !== 'root' ? [`where ${name} starts`] : []),
    ];
    const asked = rights === undefined ? undefined : await planRights(doing, { ...account, name }, rights);
    const startsIn =
      start === undefined ? undefined : await startAsked(doing.tx, { ...account, name }, start, asked?.changed ?? []);
    doing.widen([...wider, ...(asked?.wider ?? [])]);
    await lockForWithdrawal(doing.tx, { account: account.id });
    if ([...Object.values(wanted), startsIn].some((value) => value !== undefined)) {
      await changeAccount(doing.tx, account.id, { ...wanted, startsIn }, purposeOf(wider));
      await recordAccount(doing, 'account.changed', account, {
        reason,
        ...wanted,
        start,
        ...unboundIn(wanted.networks),
      });
    }
    if (asked !== undefined) await changeRights(doing, account.id, asked, reason);
    // Open sessions carry everything of their account except its contact.
    const { contact: _contact, ...carried } = { ...wanted, rights, start };
    const isFelt = Object.values(carried).some((value) => value !== undefined);
    return { sessionsEnded: isFelt ? await doing.endSessions({ account: account.id }, 'the account was changed') : 0 };
  },
};
