// Owns: what operators do to accounts: locks, ends, networks, windows; and the authentication policy of a customer.
// Must never: leave a session open that the new state would not have opened.
import { randomUUID } from 'node:crypto';
import { hourMs } from '../../config/credential-ages.ts';
import { areBound, boundBitsMin, tooWide } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { areNetworksWider, isBoundWider, isChoiceWider } from '../../domain/widening.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import { forgetGuesses } from '../authentication/penalty-queries.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { type Purpose, purposeOf } from '../changes/declared.ts';
import { isFoundAltered } from '../changes/seals.ts';
import { record } from '../ledger/ledger-queries.ts';
import { closeWindows, insertStandingWindow, insertWindow, isTimeZone } from '../windows/window-queries.ts';
import {
  type AccountRow,
  type CustomerRow,
  changeAccount,
  findAccountByName,
  findCustomer,
  setAccountEnd,
  setAccountState,
  setAllowedProofs,
} from './command-queries.ts';
import type { Doing } from './use-cases.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

const unknown = (what: string, name: string): CofferdamError => new CofferdamError('not-found', `there is no ${what} named ${name}`);

/** Returns an account by name. Throws `not-found` when it does not exist. */
export async function requireAccount(tx: Transaction, name: string, purpose: Purpose): Promise<AccountRow> {
  const account = await findAccountByName(tx, name, purpose);
  if (account === undefined) throw unknown('account', name);
  return account;
}

async function requireCustomerRow(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerRow> {
  const customer = await findCustomer(tx, name, purpose);
  if (customer === undefined) throw unknown('customer', name);
  return customer;
}

/** Returns the id of a customer by name. Throws `not-found` when it does not exist. */
export async function requireCustomer(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerId> {
  return (await requireCustomerRow(tx, name, purpose)).id;
}

async function recordAccount(doing: Doing, kind: EntryKind, account: AccountRow, facts: Readonly<Record<string, unknown>>): Promise<void> {
  await record(doing.tx, {
    kind,
    customer: account.customer,
    account: account.id,
    observer: 'warden',
    sensitive: { ...facts, by: doing.operator },
  });
}

/** Returns, for the plan and the record, the networks that restrict logins but are too wide to count as a bound. */
const unboundIn = (networks: readonly string[] | undefined): { readonly tooWideToBind?: readonly string[] } => {
  const wide = tooWide(networks ?? []);
  return wide.length === 0 ? {} : { tooWideToBind: wide };
};

export const accountUseCases = {
  'account.lock': async ({ name, reason }: P<'account.lock'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    await lockForWithdrawal(doing.tx, { account: account.id });
    if (!(await setAccountState(doing.tx, account.id, 'suspended')))
      throw new CofferdamError('conflict', `account ${name} is locked already`);
    await recordAccount(doing, 'account.locked', account, { reason });
    return { sessionsEnded: await doing.endSessions({ account: account.id }, `account locked: ${reason}`) };
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
    const livesMs = inDays === null ? null : inDays * doing.warden.config.credentials.dayMs;
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'account', id: account.id });
    // The row was altered, so its present end is not believed. Against no end at all, any end is narrower.
    const before = isAltered ? null : (account.expiresAt?.getTime() ?? null);
    const isWider = isBoundWider(before, livesMs === null ? null : Date.now() + livesMs);
    const wider = isWider ? [`the end of ${name}`] : [];
    // Removing the end takes nothing away, whatever the row says now.
    const expiresAt = await setAccountEnd(doing.tx, account.id, livesMs, livesMs === null ? 'to-rely' : purposeOf(wider));
    // The end is compared once more as the database's clock has set it.
    const isLater = isBoundWider(before, expiresAt?.getTime() ?? null);
    doing.widen(isLater ? [`the end of ${name}`] : wider);
    await recordAccount(doing, 'account.end-set', account, { reason, expiresAt: expiresAt?.toISOString() ?? null });
    // An open session carries the end that its login saw, so it is ended; the next login sees the new end.
    const sessionsEnded = expiresAt === null ? 0 : await doing.endSessions({ account: account.id }, 'the account was given an end');
    return { expiresAt: expiresAt?.toISOString() ?? null, sessionsEnded };
  },

  'account.set': async ({ name, reason, ...wanted }: P<'account.set'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    if (Object.values(wanted).every((value) => value === undefined)) throw new CofferdamError('invalid', 'nothing to change was named');
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'account', id: account.id });
    if (wanted.manages === true && account.kind !== 'person') throw new CofferdamError('conflict', 'only a person manages other accounts');
    if (!isAltered && wanted.networks !== undefined && !areBound(wanted.networks) && account.kind === 'machine' && account.hasPassword)
      throw new CofferdamError(
        'conflict',
        `a machine's password needs source networks, of /${boundBitsMin.ipv4} or narrower (IPv6: /${boundBitsMin.ipv6}): revoke the password first`,
      );
    // When the row was altered, its networks are not compared. Then only a value that restricts nothing counts as wider.
    const isOpener = (networks: readonly string[]): boolean =>
      isAltered ? networks.length === 0 : areNetworksWider(account.networks, networks);
    const wider = [
      ...(wanted.networks !== undefined && isOpener(wanted.networks) ? [`the networks of ${name}`] : []),
      ...(wanted.readOnly === false && (isAltered || account.readOnly) ? [`what ${name} may write`] : []),
      ...(wanted.manages === true && (isAltered || !account.manages) ? [`whom ${name} manages`] : []),
      // The contact is the person who is told what happens to the account.
      ...(wanted.contact !== undefined && account.contact !== null && wanted.contact !== account.contact ? [`the contact of ${name}`] : []),
    ];
    doing.widen(wider);
    await lockForWithdrawal(doing.tx, { account: account.id });
    await changeAccount(doing.tx, account.id, wanted, purposeOf(wider));
    await recordAccount(doing, 'account.changed', account, { reason, ...wanted, ...unboundIn(wanted.networks) });
    const isFelt = wanted.networks !== undefined || wanted.readOnly !== undefined || wanted.manages !== undefined;
    return { sessionsEnded: isFelt ? await doing.endSessions({ account: account.id }, 'the account was changed') : 0 };
  },

  'customer.policy': async ({ name, allow, reason }: P<'customer.policy'>, doing: Doing) => {
    const { id: customer, allowed } = await requireCustomerRow(doing.tx, name, 'to-narrow');
    const isAltered = await isFoundAltered(doing.tx, doing.warden.keys, { kind: 'customer', id: customer });
    const wider = isChoiceWider(isAltered ? null : allowed, allow) ? [`the proofs that suffice for ${name}`] : [];
    doing.widen(wider);
    await lockForWithdrawal(doing.tx, { customer });
    await setAllowedProofs(doing.tx, customer, allow, allow === null ? 'to-rely' : purposeOf(wider));
    await record(doing.tx, { kind: 'customer.policy-set', customer, observer: 'warden', sensitive: { allow, reason, by: doing.operator } });
    return { sessionsEnded: await doing.endSessions({ customer }, 'the authentication policy was changed') };
  },

  'window.open': async ({ account: name, hours, reason }: P<'window.open'>, doing: Doing) => {
    const account = await requireMachine(doing.tx, name);
    const livesMs = hours * hourMs(doing.warden.config.credentials);
    const closesAt = await insertWindow(doing.tx, randomUUID(), account.id, livesMs, doing.operator, reason);
    await recordAccount(doing, 'window.opened', account, { reason, closesAt: closesAt.toISOString() });
    return { closesAt: closesAt.toISOString() };
  },

  'window.open-standing': async ({ account: name, schedule, reason }: P<'window.open-standing'>, doing: Doing) => {
    const account = await requireMachine(doing.tx, name);
    const { dayMs, standingMaxDays } = doing.warden.config.credentials;
    if (schedule.forDays > standingMaxDays) throw new CofferdamError('invalid', `a standing window lasts at most ${standingMaxDays} days`);
    if (schedule.opens === schedule.closes)
      throw new CofferdamError('invalid', 'a standing window must not open and close at the same time of day');
    if (!(await isTimeZone(doing.tx, schedule.zone))) throw new CofferdamError('invalid', `there is no time zone named ${schedule.zone}`);
    const window = {
      ...schedule,
      id: randomUUID(),
      account: account.id,
      livesMs: schedule.forDays * dayMs,
      openedBy: doing.operator,
      reason,
    };
    const validUntil = await insertStandingWindow(doing.tx, window);
    if (validUntil === undefined) throw new CofferdamError('conflict', `${name} has a standing window named ${schedule.name}`);
    await recordAccount(doing, 'window.standing-opened', account, { reason, ...schedule });
    return { validUntil: validUntil.toISOString() };
  },

  'window.close': async ({ account: name, name: standing }: P<'window.close'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, name, 'to-narrow');
    return closeAccountWindows(doing, account, standing ?? null);
  },
};

/** Closes the windows of an account and ends the sessions that were opened by them. */
async function closeAccountWindows(
  doing: Pick<Doing, 'tx' | 'endSessions' | 'operator'>,
  account: Pick<AccountRow, 'id' | 'customer'>,
  standing: string | null,
): Promise<{ closed: number; sessionsEnded: number }> {
  // All credentials are locked at once, in the order in which grants lock them.
  await lockForWithdrawal(doing.tx, { credentialsOf: account.id });
  const closed = await closeWindows(doing.tx, account.id, standing);
  let sessionsEnded = 0;
  for (const window of closed) sessionsEnded += await doing.endSessions({ window }, 'the activation window was closed');
  if (closed.length > 0)
    await record(doing.tx, {
      kind: 'window.closed',
      customer: account.customer,
      account: account.id,
      observer: 'warden',
      sensitive: { windows: closed, sessionsEnded, by: doing.operator },
    });
  return { closed: closed.length, sessionsEnded };
}

async function requireMachine(tx: Transaction, name: string): Promise<AccountRow> {
  const account = await requireAccount(tx, name, 'to-rely');
  if (account.kind !== 'machine')
    throw new CofferdamError('conflict', 'activation windows are for machine accounts; persons use their second factor');
  return account;
}
