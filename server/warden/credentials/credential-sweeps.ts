// Owns: what the passing of time does to credentials: retiring ones end, approaching ends are announced, and counters
// of guesses are forgotten.

import type { Transaction } from '../../postgres/database.ts';
import { sweepGuesses } from '../authentication/penalty-queries.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import type { Warden } from '../context.ts';
import { every } from '../every.ts';
import { eachInTurn, passOverRows } from '../row-passes.ts';
import type { Ending, SessionRegistry } from '../sessions/sessions.ts';
import { type Due, findExpiring, findOutlived, findRetired, stillOver, takeExpiring, takeRetired } from './credential-queries.ts';
import { type Acting, revoke, tellContact } from './credentials.ts';

const forgetEveryMs = 60_000;

export type CredentialSweeps = { stop(): Promise<void> };

/**
 * Starts the regular pass over credentials. Each grant and login refuses an ended credential by its row; this pass
 * makes the end visible and final.
 */
export function startCredentialSweeps(warden: Warden, sessions: SessionRegistry): CredentialSweeps {
  let forgotten = performance.now();
  const forget = async (): Promise<void> => {
    if (performance.now() - forgotten < forgetEveryMs) return;
    forgotten = performance.now();
    await warden.database.withSystem((tx) => sweepGuesses(tx, warden.config.limits.guessForgetMs));
  };
  const pass = (): Promise<void> => eachInTurn(() => sweepCredentials(warden, sessions), forget);
  return every(warden.config.credentials.sweepEveryMs, pass, warden.log);
}

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

export async function sweepCredentials(warden: Warden, sessions: Pick<SessionRegistry, 'endWithin'>): Promise<void> {
  const { credentials: ages } = warden.config;
  const warnMs = ages.warnDays * ages.dayMs;
  // Each pass locks all of its budgets at once, in the order in which grants lock them.
  await eachInTurn(
    () =>
      passOverRows(warden, 'credential-retirement', {
        find: findRetired,
        work: (tx, ids) =>
          asClock(warden, sessions, tx, async (acting) => {
            const retired = await takeRetired(tx, ids);
            await lockForWithdrawal(tx, { credentials: retired.map((one) => one.id) });
            for (const found of retired) await revoke(acting, found, 'its overlap is over', true);
          }),
        done: announceAll,
      }),
    () =>
      passOverRows(warden, 'credential-end', {
        find: findOutlived,
        work: (tx, ids) =>
          asClock(warden, sessions, tx, async (acting) => {
            await lockForWithdrawal(tx, { credentials: ids });
            for (const credential of await stillOver(tx, ids)) await acting.endSessions({ credential }, 'the credential has ended');
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
