// Owns: charging and pacing for the rest of the warden. Each plane has three queues (extents that are released; amounts
// that are stored, listed or verified; pacing), each with a connection of its own.
// Must never: resolve before the charge and its entry are committed. Without a charged budget no key leaves the warden.
import type { Config, Directories } from '../../config/config.ts';
import { CofferdamError, type ErrorCode, toCofferdamError } from '../../domain/errors.ts';
import type { CustomerId, Plane, VersionId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, DatabaseOptions } from '../../postgres/database.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import type { Slots } from '../../rpc/slots.ts';
import type { Warden } from '../context/context.ts';
import { graceMs } from '../sessions/ending-queries.ts';
import type { OpenSession, Sessions } from '../sessions/open-session.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { type BatchQueue, createBatchQueue } from './batch-queue.ts';
import type { AskedBy } from './charge-entries.ts';
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
import { callFirstReadBatch, type FirstRead, type Opening } from './first-read-queries.ts';
import { OpenPermits } from './open-permits.ts';
import { patiently } from './patiently.ts';
import { type Asked, createRefusalDesk } from './refusals.ts';
import { type Charged, settling } from './settling.ts';
import { ToldPages } from './told-pages.ts';
import { UnpaidEntries, UnpaidOpenings } from './unpaid-entries.ts';

/** What a use case receives whose work is charged. */
export type Charging = Warden & { readonly sessions: Sessions; readonly charges: Charges };

/** The file on which a handle was opened, as this process knows it. */
type OpenedFile = { readonly customer: CustomerId; readonly version: VersionId };

export type Charges = {
  /**
   * Runs `open`, which opens a file for reading. Its entry in the record takes one of the credential's places for
   * unpaid entries, until the first extent of the file is charged. When no place is free, one name is charged first.
   * When `open` fails with an answer about the name, one name is charged afterwards, so that trying names is never
   * free.
   */
  opening<Result>(
    session: OpenSession,
    customer: CustomerId,
    download: string,
    open: () => Promise<Result>,
  ): Promise<Result>;
  /**
   * Charges one extent of an open download to every scope and records it. Only after that does it resolve, with what
   * the key of the extent is derived from. An extent for which the same credential paid within 24 h is free; when the
   * credential has no place for unpaid entries left, a name is charged in addition. With an `opening`, the handle is
   * entered and its opening recorded in the same transaction; the opening takes a place for unpaid entries, as in
   * `opening`.
   */
  release(
    session: OpenSession,
    of: OpenedFile,
    download: string,
    index: number,
    opening?: Opening,
  ): Promise<ReleasedExtent>;
  /**
   * Charges what is about to be stored, listed, or opened for verification. Nothing is refunded when the operation then
   * fails.
   */
  take(
    session: OpenSession,
    customer: CustomerId,
    direction: 'out' | 'in' | 'list',
    amount: { readonly bytes: number; readonly items: number },
  ): Promise<void>;
  /**
   * Charges a page of a listing, with the names that it tells. `page` names the question and the answer (`pageName`). A
   * page that the same credential paid for within 24 h is free; when the credential has no place for unpaid entries
   * left, it costs one name.
   */
  listing(session: OpenSession, customer: CustomerId, page: string, names: number): Promise<void>;
  /**
   * Charges by `ask`, which charges this amount in the direction `in` together with more work, in one transaction.
   * Resolves with its answer when the charge was granted; a charge that has to wait is asked again. Throws what `take`
   * throws.
   */
  taking<Answer extends { readonly charge: ChargeAnswer }>(
    session: OpenSession,
    customer: CustomerId,
    amount: { readonly bytes: number; readonly items: number },
    ask: () => Promise<Answer>,
  ): Promise<Answer>;
  /** Throws the refusal that the same amount of the direction `in` met within the last second, if it met one. */
  requireUnrefused(session: OpenSession, customer: CustomerId, amount: Asked['amount']): void;
  /**
   * Charges the last bytes of an upload whose session is over. Throws `over-limit` when a scope has no room for them.
   */
  takeEnding(session: OpenSession, customer: CustomerId, bytes: number): Promise<void>;
  /**
   * Returns the next permit of the flow that the session's scopes share. With 0 bytes nothing may be sent yet; ask
   * again after the wait.
   */
  permit(session: OpenSession, customer: CustomerId, direction: 'out' | 'in', bytes: number): Promise<Permit>;
  waiting(): number;
  stop(): Promise<void>;
};

type Given = {
  readonly config: Directories & Pick<Config, 'database' | 'limits' | 'credentials'>;
  readonly database: Database;
  readonly sessions: SessionRegistry;
  readonly log: Logger;
  readonly admit: DatabaseOptions['admit'];
  /**
   * Begins the drafts of the entries that charges leave, by which the warden later checks that they were sealed as
   * written; undefined when nobody checks.
   */
  readonly drafts?: DatabaseOptions['drafts'];
  /** The places of items that wait for their batch; undefined when only the queue's own bound applies. */
  readonly grants?: Slots;
};
export type Queues<Item, Answer> = Readonly<Record<Plane, BatchQueue<Item, Answer>>>;

/** The errors from which a client learns something about a name: whether it exists, or what it may do with it. */
const tellsOfNames: ReadonlySet<ErrorCode> = new Set(['not-found', 'denied', 'conflict', 'invalid']);

/** Returns whom the entry of a charge must name. */
export const byOf = ({ node, account }: OpenSession, customer: CustomerId, version?: VersionId): AskedBy => ({
  account: account.id,
  node,
  plane: account.plane,
  customer,
  version,
});

/**
 * Creates the queues of one kind of call. A batch waits for the row locks of all its items. Each plane has a queue of
 * its own, so that what holds up one plane does not hold up the other.
 */
export function createQueues<I, A>(
  hook: Omit<Parameters<typeof createBatchQueue<I, A>>[0], 'applicationName' | 'call'>,
  name: string,
  call: (through: Database, items: readonly I[]) => Promise<readonly A[]>,
): Queues<I, A> {
  const of = (plane: Plane): BatchQueue<I, A> =>
    createBatchQueue({ ...hook, applicationName: `cofferdam ${name} ${plane}`, call });
  return { partner: of('partner'), internal: of('internal') };
}

export function createCharges({ config, database, sessions, log, admit, drafts, grants }: Given): Charges {
  const url = roleUrl(config, 'warden');
  const hook = { url, ...(admit && { admit }), ...(drafts && { drafts }), ...(grants && { slots: grants }) };
  const releases = createQueues<ChargeRequest, ChargeAnswer>(hook, 'grants', callChargeBatch);
  const firstReads = createQueues<FirstRead, ChargeAnswer>(hook, 'first-reads', callFirstReadBatch);
  const amounts = createQueues<ChargeRequest, ChargeAnswer>(hook, 'charges', callChargeBatch);
  const paces = createQueues<PaceRequest, Permit>(hook, 'pace', callPace);
  const all = [releases, firstReads, amounts, paces].flatMap(
    ({ partner, internal }): readonly Pick<BatchQueue<never, unknown>, 'stop'>[] => [partner, internal],
  );
  const permits = new OpenPermits();
  const unpaid = new UnpaidEntries({
    atOnce: config.limits.unpaidEntriesAtOnce,
    perMinute: config.limits.unpaidEntriesPerMinute,
  });
  const openings = new UnpaidOpenings();
  const pages = new ToldPages();
  const desk = createRefusalDesk({
    database,
    dormantMs: config.credentials.dormantDays * config.credentials.dayMs,
    endSessions: (credential, reason) => sessions.endMatching({ credential }, reason, 'limit'),
    onFault: (error) =>
      log.warn({ err: error }, 'sessions that met their limit could not be ended; the next refusal tries again'),
  });

  const { requireUnrefused, settled } = settling({ desk, sessions, patienceMs: config.limits.slowdownPatienceMs });

  const settledCharge = async (
    session: OpenSession,
    asked: Asked,
    ask: () => Promise<ChargeAnswer>,
  ): Promise<Charged> => (await settled(session, asked, async () => ({ charge: await ask() }))).charge;

  // A refusal concerns the scopes of one customer. In the same session another customer may still have room, so the
  // customer is part of the key.
  const askedFor = (session: OpenSession, customer: CustomerId, direction: string, amount: Asked['amount']): Asked => ({
    key: `${session.id}/${customer}/${direction}`,
    amount,
  });
  const take: Charges['take'] = async (session, customer, direction, { bytes, items }) => {
    const asked = askedFor(session, customer, direction, { bytes, items });
    const amount = { session: session.id, by: byOf(session, customer), customer, direction, bytes, items };
    await settledCharge(session, asked, () => amounts[session.account.plane].request(amount));
  };
  const oneName = { bytes: 0, items: 1 };
  /** Has the entry of an opening take a place, or charges a name for it. */
  const payOpening = async (session: OpenSession, customer: CustomerId, download: string): Promise<void> => {
    if (unpaid.take(session.credentialId)) openings.add(download);
    else await take(session, customer, 'list', oneName);
  };

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
          // An answer about a name is charged. A failure of the gateway to look is not.
          if (tellsOfNames.has(toCofferdamError(error).code)) await take(session, customer, 'list', oneName);
        }
        throw error;
      }
    },
    release: async (session, { customer, version }, download, index, opening) => {
      // The amounts are zero because only the database knows what an extent costs; the same extent always costs the
      // same.
      const asked = { key: `${session.id}/${download}/${index}`, amount: { bytes: 0, items: 0 } };
      requireUnrefused(asked);
      if (opening !== undefined && !opening.isPaid) {
        await payOpening(session, customer, download);
        opening.isPaid = true;
      }
      const isFree = unpaid.take(session.credentialId);
      if (!isFree) await take(session, customer, 'list', oneName);
      const read = { session: session.id, by: byOf(session, customer, version), download, index };
      const { outcome, extent } = await settledCharge(session, asked, () =>
        opening === undefined
          ? releases[session.account.plane].request(read)
          : patiently(() => firstReads[session.account.plane].request({ ...read, opening })),
      );
      // The bytes of a first read have paid for its entry, so the place is given back. A refusal, which was thrown
      // above, and a repeated read keep it.
      if (outcome === 'granted') {
        if (isFree) unpaid.giveBack(session.credentialId);
        if (openings.settle(download)) unpaid.giveBack(session.credentialId);
      }
      if (extent === null) throw new CofferdamError('bug', 'an extent was charged and not found');
      return extent;
    },
    take,
    listing: async (session, customer, page, names) => {
      const { credentialId } = session;
      const isRepeat = pages.isPaid(credentialId, page, performance.now());
      if (isRepeat && unpaid.take(credentialId)) return;
      await take(session, customer, 'list', isRepeat ? oneName : { bytes: 0, items: names });
      if (!isRepeat) pages.paid(credentialId, page, performance.now());
    },
    taking: (session, customer, amount, ask) => settled(session, askedFor(session, customer, 'in', amount), ask),
    requireUnrefused: (session, customer, amount) => requireUnrefused(askedFor(session, customer, 'in', amount)),
    takeEnding: async (session, customer, bytes) => {
      if (!(await callChargeEnding(database, { session: session.id, customer, bytes, graceMs })))
        throw new CofferdamError('over-limit', 'a budget has no room for the last part of the file');
    },
    permit: (session, customer, direction, bytes) =>
      permits.ask(`${session.id}/${customer}/${direction}`, () =>
        paces[session.account.plane].request({ session: session.id, customer, direction, bytes }),
      ),
    waiting: () =>
      [releases, firstReads, amounts].reduce(
        (sum, { partner, internal }) => sum + partner.waiting() + internal.waiting(),
        0,
      ),
    stop: async () => {
      await Promise.all(all.map((one) => one.stop()));
    },
  };
}
