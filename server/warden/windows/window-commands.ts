// Owns: what operators do to the activation windows of machines.
// Must never: leave a session open that a closed window had opened.

import { randomUUID } from 'node:crypto';
import { hourMs } from '../../config/credential-ages.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { recordAccount, requireAccount } from '../accounts/account-commands.ts';
import type { AccountRow } from '../accounts/account-queries.ts';
import type { Doing } from '../commands/doing.ts';
import { record } from '../ledger/entries/record.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import { closeWindows, insertStandingWindow, insertWindow, isTimeZone } from './window-queries.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

export const windowUseCases = {
  'window.open': async ({ account: name, hours, reason }: P<'window.open'>, doing: Doing) => {
    const account = await requireMachine(doing.tx, name);
    const livesMs = hours * hourMs(doing.warden.ages);
    const closesAt = await insertWindow(doing.tx, randomUUID(), account.id, livesMs, doing.operator, reason);
    await recordAccount(doing, 'window.opened', account, { reason, closesAt: closesAt.toISOString() });
    return { closesAt: closesAt.toISOString() };
  },

  'window.open-standing': async ({ account: name, schedule, reason }: P<'window.open-standing'>, doing: Doing) => {
    const account = await requireMachine(doing.tx, name);
    const { dayMs, standingMaxDays } = doing.warden.ages;
    if (schedule.forDays > standingMaxDays)
      throw new CofferdamError('invalid', `a standing window lasts at most ${standingMaxDays} days`);
    if (schedule.opens === schedule.closes)
      throw new CofferdamError('invalid', 'a standing window must not open and close at the same time of day');
    if (!(await isTimeZone(doing.tx, schedule.zone)))
      throw new CofferdamError('invalid', `there is no time zone named ${schedule.zone}`);
    const window = {
      ...schedule,
      id: randomUUID(),
      account: account.id,
      livesMs: schedule.forDays * dayMs,
      openedBy: doing.operator,
      reason,
    };
    const validUntil = await insertStandingWindow(doing.tx, window);
    if (validUntil === undefined)
      throw new CofferdamError('conflict', `${name} has a standing window named ${schedule.name}`);
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
    throw new CofferdamError(
      'conflict',
      'activation windows are for machine accounts; persons use their second factor',
    );
  return account;
}
