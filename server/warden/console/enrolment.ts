// Owns: the enrolment of a second factor over the console. A seed is shown once to its holder, and stored when a code
// made from it comes back (RFC 6238).
// Must never: be open to a session that came without a ticket, or store a seed that nobody proved to have.
import { renderUnicodeCompact } from 'uqr';
import { CofferdamError } from '../../domain/errors.ts';
import { Secret } from '../../domain/secrets.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertSecondFactor, useTicket } from '../factors/factor-queries.ts';
import { enrolmentUri, matchingSteps, newSeed, seedToBase32 } from '../factors/totp.ts';
import { type Counted, takeStep } from '../factors/used-codes.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from '../ledger/entries/record.ts';
import type { OpenSession } from '../sessions/open-session.ts';

const triesMax = 3;
export type Enrolment = { readonly seed: Secret<Buffer>; readonly triesLeft: number };

export function beginEnrolment(session: OpenSession): { readonly enrolment: Enrolment; readonly text: string } {
  if (session.purpose !== 'enrolment')
    throw new CofferdamError(
      'denied',
      'a second factor is enrolled by logging in with your key and the ticket that you were given',
    );
  const seed = newSeed();
  const uri = enrolmentUri(session.account.name, seed);
  return {
    enrolment: { seed: new Secret(seed), triesLeft: triesMax },
    text: [
      'Scan this with your authenticator application, or type the secret into it (a machine keeps it in its secret store).',
      'It is shown this once.',
      '',
      renderUnicodeCompact(uri, { ecc: 'L', border: 2 }),
      '',
      `Secret: ${seedToBase32(seed)}`,
      uri,
      '',
      'Then type the code it shows: ',
    ].join('\n'),
  };
}

type Enrolled =
  | { readonly isEnrolled: true; readonly counted: Counted }
  | { readonly isEnrolled: false; readonly next: Enrolment | undefined };

/**
 * Examines the code that came back. Use of the ticket, seed and time step are written together or not at all. Throws
 * `conflict` when the ticket cannot be used any more, or when the account has a second factor.
 */
export async function finishEnrolment(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  enrolment: Enrolment,
  code: string,
): Promise<Enrolled> {
  const seed = enrolment.seed.reveal();
  const { id, customer } = session.account;
  const [step] = matchingSteps(seed, code.trim(), Date.now() / 1000);
  if (step === undefined) {
    const triesLeft = enrolment.triesLeft - 1;
    return { isEnrolled: false, next: triesLeft > 0 ? { ...enrolment, triesLeft } : undefined };
  }
  // The ticket must be the one with which this session logged in, and not one that was issued since.
  if (session.ticket === null || !(await useTicket(tx, id, session.ticket)))
    throw new CofferdamError('conflict', 'the ticket has expired or was used; ask for a new one');
  if (!(await insertSecondFactor(tx, id, keys.sealSecret('totp', id, seed))))
    throw new CofferdamError('conflict', 'this account has a second factor');
  // The time step is used up with the enrolment. The result is ignored, because a code of an earlier seed may have used
  // the same time step, which is no fault of this code.
  await takeStep(tx, keys, { account: id, customer, node: session.node, plane: session.account.plane }, step);
  await record(tx, {
    kind: 'second-factor.enrolled',
    customer,
    account: id,
    session: session.id,
    node: session.node,
    observer: 'warden',
  });
  return { isEnrolled: true, counted: { account: id, step } };
}
