// Owns: what the passing of time does to credentials: retiring ones end, and approaching ends are announced.

import type { Transaction } from '../../postgres/database.ts';
import type { Warden } from '../context/context.ts';
import { eachInTurn, passOverRows } from '../passes/row-passes.ts';
import type { Ending, SessionRegistry } from '../sessions/sessions.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import {
  type Due,
  findExpiring,
  findOutlived,
  findRetired,
  stillOver,
  takeExpiring,
  takeRetired,
} from './credential-queries.ts';
import { type Acting, revoke, tellContact } from './credentials.ts';

/**
 * Runs `work` on behalf of the clock, inside the caller's transaction. Returns the endings that must be announced to
 * the edges after its commit.
 */
async function asClock(
  warden: Warden,
  sessions: Pick<SessionRegistry, 'endWithin'>,
  tx: Transaction,
  work: (acting: Acting) => Promise<void>,
): Promise<readonly Ending[]> {
  const endings: Ending[] = [];
  await work({
    tx,
    warden,
    by: 'the clock',
    endSessions: async (filter, reason) => {
      const done = await sessions.endWithin(tx, filter, reason);
      endings.push(done);
      return done.count;
    },
  });
  return endings;
}

const announceAll = (endings: readonly Ending[]): void => {
  for (const ending of endings) ending.announce();
};

/**
 * Runs the passes over credentials. Each grant and login refuses an ended credential by its row; these passes make the
 * end visible and final.
 */
export async function sweepCredentials(warden: Warden, sessions: Pick<SessionRegistry, 'endWithin'>): Promise<void> {
  const { ages } = warden;
  const warnMs = ages.warnDays * ages.dayMs;
  // Each pass locks all of its budgets at once, in the order in which grants lock them, and before the credentials.
  await eachInTurn(
    () =>
      passOverRows(warden, 'credential-retirement', {
        find: findRetired,
        work: (tx, ids) =>
          asClock(warden, sessions, tx, async (acting) => {
            await lockForWithdrawal(tx, { credentials: ids });
            for (const found of await takeRetired(tx, ids)) await revoke(acting, found, 'its overlap is over', true);
          }),
        done: announceAll,
      }),
    () =>
      passOverRows(warden, 'credential-end', {
        find: findOutlived,
        work: (tx, ids) =>
          asClock(warden, sessions, tx, async (acting) => {
            await lockForWithdrawal(tx, { credentials: ids });
            for (const credential of await stillOver(tx, ids))
              await acting.endSessions({ credential }, 'the credential has ended');
          }),
        done: announceAll,
      }),
    () =>
      passOverRows(warden, 'credential-warning', {
        find: (tx, limit) => findExpiring(tx, warnMs, limit),
        work: async (tx, ids) => {
          for (const due of await takeExpiring(tx, ids, warnMs)) await warn(tx, due);
        },
      }),
  );
}

async function warn(tx: Transaction, due: Due): Promise<void> {
  await tellContact(
    tx,
    'credential.expiring',
    { id: due.account, name: due.accountName, customer: due.customer },
    {
      text: `${due.fingerprint} of ${due.accountName} ends on ${due.expiresAt.toISOString()}`,
      contactText: `A credential of your account ${due.accountName} (${due.fingerprint}) ends on ${due.expiresAt.toISOString()}. Please send its replacement before.`,
      next: `cofferctl credential show ${due.fingerprint}`,
      facts: { fingerprint: due.fingerprint, expiresAt: due.expiresAt.toISOString() },
    },
  );
}
