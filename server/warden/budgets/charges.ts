// Owns: charging and pacing for the rest of the warden: three queues (released, stored and listed, paced), each with a connection of its own.
// Must never: resolve before the charge and its entry are committed. No budget, no key.
import type { Config } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, DatabaseOptions } from '../../postgres/database.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import type { Slots } from '../../rpc/slots.ts';
import type { OpenSession } from '../context.ts';
import { graceMs } from '../sessions/ending-queries.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { type BatchQueue, createBatchQueue } from './batch-queue.ts';
import {
  type ChargeAnswer,
  type ChargeRequest,
  callChargeBatch,
  callChargeEnding,
  callPace,
  type PaceRequest,
  type Permit,
  type ReleasedExtent,
} from './charge-queries.ts';
import { OpenPermits } from './open-permits.ts';
import { type Asked, createRefusalDesk } from './refusals.ts';
import { UnpaidEntries } from './unpaid-entries.ts';

export type Charges = {
  /** Charges the name of a file that is about to be read. */
  open(session: OpenSession, customer: CustomerId): Promise<void>;
  /**
   * Charges one extent of an open download to every scope and records it; then, and only then, what its key is derived from. An extent that was paid for
   * within a day is free; past what one credential may leave in the record so, each costs a name.
   */
  release(session: OpenSession, customer: CustomerId, download: string, index: number): Promise<ReleasedExtent>;
  /** Charges what is about to be stored, listed, or opened for verification. Nothing is refunded when it then fails. */
  take(
    session: OpenSession,
    customer: CustomerId,
    direction: 'out' | 'in' | 'list',
    amount: { readonly bytes: number; readonly items: number },
  ): Promise<void>;
  /** The same for the last bytes of an upload whose session is over. Refused as `over-limit` where a scope has no room for them. */
  takeEnding(session: OpenSession, customer: CustomerId, bytes: number): Promise<void>;
  /** The next piece of the flow that the session's scopes share; 0 bytes: not yet, ask again after the wait. */
  permit(session: OpenSession, customer: CustomerId, direction: 'out' | 'in', bytes: number): Promise<Permit>;
  waiting(): number;
  stop(): Promise<void>;
};

type Given = {
  readonly config: Config;
  readonly database: Database;
  readonly sessions: SessionRegistry;
  readonly log: Logger;
  readonly admit: DatabaseOptions['admit'];
  /** Places of what waits for its batch; undefined: only the queue's own bound. */
  readonly grants?: Slots;
};
type Charged = Extract<ChargeAnswer, { outcome: 'granted' | 'repeat' }>;

/** A client that waits for its turn asks again at the earliest after so long. */
const askAgainMsMin = 20;

export function createCharges({ config, database, sessions, log, admit, grants }: Given): Charges {
  const url = roleUrl(config, 'warden');
  const hook = { ...(admit === undefined ? {} : { admit }), ...(grants === undefined ? {} : { slots: grants }) };
  const queue = (name: string): BatchQueue<ChargeRequest, ChargeAnswer> =>
    createBatchQueue({ url, applicationName: `cofferdam ${name}`, ...hook, call: callChargeBatch });
  const releases = queue('grants');
  const amounts = queue('charges');
  const paces = createBatchQueue<PaceRequest, Permit>({ url, applicationName: 'cofferdam pace', ...hook, call: callPace });
  const permits = new OpenPermits();
  const unpaid = new UnpaidEntries({
    atOnce: config.limits.unpaidEntriesAtOnce,
    perMinute: config.limits.unpaidEntriesPerMinute,
  });
  const desk = createRefusalDesk({
    database,
    dormantMs: config.credentials.dormantDays * config.credentials.dayMs,
    endSessions: (credential, reason) => sessions.endMatching({ credential }, reason, 'limit'),
    onFault: (error) => log.warn({ err: error }, 'sessions that met their limit could not be ended; the next refusal tries again'),
  });

  const charge = async (
    through: BatchQueue<ChargeRequest, ChargeAnswer>,
    session: OpenSession,
    request: ChargeRequest,
    asked: Asked,
  ): Promise<Charged> => {
    const known = desk.recall(asked);
    if (known !== undefined) throw known;
    const deadline = performance.now() + config.limits.slowdownPatienceMs;
    for (;;) {
      const answer = await through.request(request);
      switch (answer.outcome) {
        case 'granted':
        case 'repeat':
          if (answer.isSlow) await desk.slowed(session, answer.customer);
          return answer;
        case 'session':
          await sessions.end(session.id, 'its account, customer or credential is no longer good', 'doubt');
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
  };

  const take: Charges['take'] = async (session, customer, direction, { bytes, items }) => {
    // A refusal is that of one customer's scopes: in the same session the next one may have room.
    const asked = { key: `${session.id}/${customer}/${direction}`, amount: { bytes, items } };
    await charge(amounts, session, { session: session.id, customer, direction, bytes, items }, asked);
  };
  const oneName = { bytes: 0, items: 1 };

  return {
    open: async (session, customer) => {
      await take(session, customer, 'list', oneName);
      unpaid.giveBack(session.credentialId);
    },
    release: async (session, customer, download, index) => {
      // What an extent costs is the database's to say: the same one costs the same.
      const asked = { key: `${session.id}/${download}/${index}`, amount: { bytes: 0, items: 0 } };
      const known = desk.recall(asked);
      if (known !== undefined) throw known;
      const isFree = unpaid.take(session.credentialId);
      if (!isFree) await take(session, customer, 'list', oneName);
      const { outcome, extent } = await charge(releases, session, { session: session.id, download, index }, asked);
      // A first read leaves an entry that its bytes paid for. A refusal, which is thrown above, and a repeat do not.
      if (isFree && outcome === 'granted') unpaid.giveBack(session.credentialId);
      if (extent === null) throw new CofferdamError('bug', 'an extent was charged and not found');
      return extent;
    },
    take,
    takeEnding: async (session, customer, bytes) => {
      if (!(await callChargeEnding(database, { session: session.id, customer, bytes, graceMs })))
        throw new CofferdamError('over-limit', 'there is no room for the last part of the file');
    },
    permit: (session, customer, direction, bytes) =>
      permits.ask(`${session.id}/${customer}/${direction}`, () => paces.request({ session: session.id, customer, direction, bytes })),
    waiting: () => releases.waiting() + amounts.waiting(),
    stop: async () => {
      await Promise.all([releases.stop(), amounts.stop(), paces.stop()]);
    },
  };
}
