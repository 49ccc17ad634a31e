// Owns: what time does to credentials: retiring ones go, ends that come near are announced, counters of guesses are forgotten.

import { held } from '../../domain/detached.ts';
import { sweepGuesses } from '../authentication/penalty-queries.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import type { Warden } from '../context.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { takeExpiring, takeOutlived, takeRetired } from './credential-queries.ts';
import { type Acting, revoke, tellContact } from './credentials.ts';

const batch = 200;
const forgetEveryMs = 60_000;

export type CredentialSweeps = { stop(): Promise<void> };

/** The end itself is enforced with every grant and login, by the row; this is what makes it visible and final. */
export function startCredentialSweeps(warden: Warden, sessions: SessionRegistry): CredentialSweeps {
  let running: Promise<void> = Promise.resolve();
  let isBusy = false;
  let forgotten = performance.now();
  const pass = async (): Promise<void> => {
    await sweepCredentials(warden, sessions);
    if (performance.now() - forgotten < forgetEveryMs) return;
    forgotten = performance.now();
    await warden.database.withSystem((tx) => sweepGuesses(tx, warden.config.limits.guessForgetMs));
  };
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    running = held(
      pass()
        .catch((error: unknown) => warden.log.warn({ err: error }, 'credentials could not be swept; tried again'))
        .finally(() => (isBusy = false)),
    );
  }, warden.config.credentials.sweepEveryMs);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

/** One transaction on behalf of the clock; edges hear of ended sessions after its commit. */
async function asClock(warden: Warden, sessions: SessionRegistry, work: (acting: Acting) => Promise<void>): Promise<void> {
  const announcements: (() => void)[] = [];
  await warden.database.withSystem((tx) =>
    work({
      tx,
      warden,
      by: 'the clock',
      endSessions: async (filter, reason) => {
        const done = await sessions.endWithin(tx, filter, reason);
        announcements.push(() => done.announce());
        return done.count;
      },
    }),
  );
  for (const announce of announcements) announce();
}

async function sweepCredentials(warden: Warden, sessions: SessionRegistry): Promise<void> {
  const { credentials: ages } = warden.config;
  // Each pass locks all of its budgets at once, in the order in which grants lock.
  await asClock(warden, sessions, async (acting) => {
    const retired = await takeRetired(acting.tx, batch);
    if (retired.length === 0) return;
    await lockForWithdrawal(acting.tx, { credentials: retired.map((one) => one.id) });
    for (const found of retired) await revoke(acting, found, 'its overlap is over', true);
  });
  await asClock(warden, sessions, async (acting) => {
    const outlived = await takeOutlived(acting.tx, batch);
    if (outlived.length === 0) return;
    await lockForWithdrawal(acting.tx, { credentials: outlived });
    for (const credential of outlived) await acting.endSessions({ credential }, 'the credential has ended');
  });
  await warden.database.withSystem(async (tx) => {
    for (const due of await takeExpiring(tx, ages.warnDays * ages.dayMs, batch))
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
  });
}
