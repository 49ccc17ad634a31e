// Owns: charging and pacing for the rest of the warden: three queues (released, stored and listed, paced) for each plane, each with a connection of its own.
// Must never: resolve before the charge and its entry are committed. No budget, no key.
import type { Config } from '../../config/config.ts';
import { CofferdamError, type ErrorCode, toCofferdamError } from '../../domain/errors.ts';
import type { CustomerId, Plane } from '../../domain/ids.ts';
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
import { UnpaidEntries, UnpaidOpenings } from './unpaid-entries.ts';

export type Charges = {
  /**
   * Runs what opens a file for reading. The entry that it leaves takes the place of one that nobody paid for, until the file's first extent is. Where there is
   * no such place it costs a name first, and so does, afterwards, what could not be opened: nobody tries names for nothing.
   */
  opening<Result>(session: OpenSession, customer: CustomerId, download: string, open: () => Promise<Result>): Promise<Result>;
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
  /** Of the entries that charges leave; undefined: nobody watches them. */
  readonly drafts?: DatabaseOptions['drafts'];
  /** Places of what waits for its batch; undefined: only the queue's own bound. */
  readonly grants?: Slots;
};
type Queues<Item, Answer> = Readonly<Record<Plane, BatchQueue<Item, Answer>>>;
type Charged = Extract<ChargeAnswer, { outcome: 'granted' | 'repeat' }>;

/** Refusals by which somebody learns what a name is, or that it is none. */
const tellsOfNames: ReadonlySet<ErrorCode> = new Set(['not-found', 'denied', 'conflict', 'invalid']);

/** A client that waits for its turn asks again at the earliest after so long. */
const askAgainMsMin = 20;

export function createCharges({ config, database, sessions, log, admit, drafts, grants }: Given): Charges {
  const url = roleUrl(config, 'warden');
  const hook = { ...(admit && { admit }), ...(drafts && { drafts }), ...(grants && { slots: grants }) };
  // A batch waits for the rows of all its items: what holds one of them up is no matter of the other plane.
  const queues = <I, A>(name: string, call: (through: Database, items: readonly I[]) => Promise<readonly A[]>): Queues<I, A> => {
    const of = (plane: Plane): BatchQueue<I, A> => createBatchQueue({ url, applicationName: `cofferdam ${name} ${plane}`, ...hook, call });
    return { partner: of('partner'), internal: of('internal') };
  };
  const releases = queues<ChargeRequest, ChargeAnswer>('grants', callChargeBatch);
  const amounts = queues<ChargeRequest, ChargeAnswer>('charges', callChargeBatch);
  const paces = queues<PaceRequest, Permit>('pace', callPace);
  const all = [releases, amounts, paces].flatMap(({ partner, internal }): readonly Pick<BatchQueue<never, unknown>, 'stop'>[] => [
    partner,
    internal,
  ]);
  const permits = new OpenPermits();
  const unpaid = new UnpaidEntries({
    atOnce: config.limits.unpaidEntriesAtOnce,
    perMinute: config.limits.unpaidEntriesPerMinute,
  });
  const openings = new UnpaidOpenings();
  const desk = createRefusalDesk({
    database,
    dormantMs: config.credentials.dormantDays * config.credentials.dayMs,
    endSessions: (credential, reason) => sessions.endMatching({ credential }, reason, 'limit'),
    onFault: (error) => log.warn({ err: error }, 'sessions that met their limit could not be ended; the next refusal tries again'),
  });

  const charge = async (
    through: Queues<ChargeRequest, ChargeAnswer>,
    session: OpenSession,
    request: ChargeRequest,
    asked: Asked,
  ): Promise<Charged> => {
    const known = desk.recall(asked);
    if (known !== undefined) throw known;
    const deadline = performance.now() + config.limits.slowdownPatienceMs;
    for (;;) {
      const answer = await through[session.account.plane].request(request);
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
    opening: async (session, customer, download, open) => {
      const isFree = unpaid.take(session.credentialId);
      if (!isFree) await take(session, customer, 'list', oneName);
      try {
        const result = await open();
        if (isFree) openings.add(download);
        return result;
      } catch (error) {
        if (isFree) {
          unpaid.giveBack(session.credentialId);
          // What is said of a name has its price; that the gateway could not look has none.
          if (tellsOfNames.has(toCofferdamError(error).code)) await take(session, customer, 'list', oneName);
        }
        throw error;
      }
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
      if (outcome === 'granted') {
        if (isFree) unpaid.giveBack(session.credentialId);
        if (openings.settle(download)) unpaid.giveBack(session.credentialId);
      }
      if (extent === null) throw new CofferdamError('bug', 'an extent was charged and not found');
      return extent;
    },
    take,
    takeEnding: async (session, customer, bytes) => {
      if (!(await callChargeEnding(database, { session: session.id, customer, bytes, graceMs })))
        throw new CofferdamError('over-limit', 'there is no room for the last part of the file');
    },
    permit: (session, customer, direction, bytes) =>
      permits.ask(`${session.id}/${customer}/${direction}`, () =>
        paces[session.account.plane].request({ session: session.id, customer, direction, bytes }),
      ),
    waiting: () => [releases, amounts].reduce((sum, { partner, internal }) => sum + partner.waiting() + internal.waiting(), 0),
    stop: async () => {
      await Promise.all(all.map((one) => one.stop()));
    },
  };
}
