// Owns: what follows from the answer to a charge: it is asked again when it has to wait, a refusal becomes the client's
// error, and a session that may not go on ends.
// Must never: return an answer whose charge was not granted.
import { CofferdamError } from '../../domain/errors.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import type { ChargeAnswer } from './charge-queries.ts';
import type { Asked, RefusalDesk } from './refusals.ts';

export type Charged = Extract<ChargeAnswer, { outcome: 'granted' | 'repeat' }>;
type Given = {
  readonly desk: RefusalDesk;
  readonly sessions: Pick<SessionRegistry, 'end'>;
  /** How long a charge is asked again while plane or gateway slow down, in milliseconds. */
  readonly patienceMs: number;
};
type Settling = {
  /** Throws the refusal that the same request met within the last second. */
  requireUnrefused(asked: Asked): void;
  /** Asks until a charge is granted or refused. `ask` may carry out more work in the transaction of the charge. */
  settled<Answer extends { readonly charge: ChargeAnswer }>(
    session: OpenSession,
    asked: Asked,
    ask: () => Promise<Answer>,
  ): Promise<Answer & { readonly charge: Charged }>;
};

/** The shortest pause, in milliseconds, after which a charge that was slowed down is tried again. */
const askAgainMsMin = 20;

export function settling({ desk, sessions, patienceMs }: Given): Settling {
  const requireUnrefused: Settling['requireUnrefused'] = (asked) => {
    const known = desk.recall(asked);
    if (known !== undefined) throw known;
  };
  return {
    requireUnrefused,
    settled: async (session, asked, ask) => {
      requireUnrefused(asked);
      const deadline = performance.now() + patienceMs;
      for (;;) {
        const whole = await ask();
        const answer = whole.charge;
        switch (answer.outcome) {
          case 'granted':
          case 'repeat':
            if (answer.isSlow) await desk.slowed(session, answer.customer);
            return { ...whole, charge: answer };
          case 'session':
            await sessions.end(session.id, 'its account, customer or credential may no longer be used', 'doubt');
            throw new CofferdamError('session-ended', 'the session is over');
          case 'missing':
            throw new CofferdamError('not-found', 'the file is no longer open');
          case 'over-limit':
            throw await desk.settle(session, answer, asked);
          case 'later': {
            await desk.slowed(session, answer.customer);
            const pauseMs = Math.max(askAgainMsMin, answer.afterMs * (1 + Math.random() / 4));
            if (performance.now() + pauseMs > deadline)
              throw new CofferdamError('over-limit', 'the gateway is very busy and has slowed down; try again later');
            await new Promise((resolve) => setTimeout(resolve, pauseMs));
          }
        }
      }
    },
  };
}
