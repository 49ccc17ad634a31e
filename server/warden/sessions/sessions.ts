// Owns: open sessions: their tokens, their scopes, their lives, and how they end.
// Must never: store a token (only its SHA-256), or change the scope of a session after it was opened.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Config, Limits } from '../../config/config.ts';
import type { SessionPurpose } from '../../domain/authentication-policy.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, type CustomerId, idOf, type SessionId } from '../../domain/ids.ts';
import type { EdgeEnd, SessionEnd } from '../../domain/session-ends.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Condition } from '../../postgres/beginning.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { Shelf } from '../../rpc/shelf.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import type { Issued } from '../exchanges/exchanges.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from '../ledger/entries/record.ts';
import { eachInTurn, passOverRows } from '../passes/row-passes.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import { handleClosed } from '../versions/counted-reads.ts';
import { type Activity, findEnding, findOverdue, goesOn, takeOverdue, touchSessions } from './ending-queries.ts';
import { alarmImpossible } from './impossible-words.ts';
import type { EdgeNotifier, LettingGo, OpenSession, Sessions } from './open-session.ts';
import { OutlivedUploads } from './outlived-uploads.ts';
import { type FullScope, findFullScope } from './session-limit-queries.ts';
import {
  activeCustomers,
  endOf,
  endSessions,
  findOpenSession,
  insertSession,
  recordTransferred,
} from './session-queries.ts';
import { frozenCustomers, openSessionOf, type SessionScope, sealScope, verifiedScope } from './session-scope.ts';
import { lockForWithdrawal } from './withdrawal-queries.ts';

/**
 * A session in memory. `lastWritten` is when its row was last told of activity, at most once in `touchEveryMs`
 * milliseconds.
 */
type Cached = {
  readonly session: OpenSession;
  readonly expiresAt: number;
  readonly touchEveryMs: number;
  lastWritten: number;
};

export type Opening = {
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly credential: CredentialId;
  /** The second credential of a login with key and password. */
  readonly alsoCredential: CredentialId | null;
  readonly purpose: SessionPurpose;
  /** What the session may do, from the rows that were verified. */
  readonly scope: Pick<SessionScope, 'account' | 'customers' | 'start' | 'ticket'>;
  /**
   * When the session ends by what its proofs allow, in milliseconds since 1970; null when only the configuration bounds
   * it.
   */
  readonly until: number | null;
  /** Milliseconds since 1970, by the clock of the database. */
  readonly now: number;
  /** The window that replaced the second factor. */
  readonly window: string | null;
  readonly caller: EdgeCaller;
  readonly startId: string;
  readonly source: { readonly address: string; readonly port: number };
  readonly issued: Issued;
};
export type Ending = { readonly count: number; announce(): void };
type Opened = {
  readonly id: SessionId;
  readonly token: string;
  readonly absoluteLifeMs: number;
  readonly idleLifeMs: number;
};

export const alteredReason = 'a database row that this session relies on was altered';
const touchEveryMsMax = 5000;
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export class SessionRegistry implements Sessions {
  readonly #database: Database;
  readonly #limits: Limits;
  readonly #edges: EdgeNotifier;
  readonly #keys: KeyRing;
  readonly #byHash: Shelf<Cached>;
  readonly #hashById = new Map<SessionId, string>();
  /**
   * The sessions whose last call is not in their rows yet, with the time of that call (`performance.now()`).
   */
  readonly #unwritten = new Map<SessionId, number>();
  /** How many times a session was forgotten. */
  #forgotten = 0;
  readonly #log: Logger;
  readonly #outlived = new OutlivedUploads();

  constructor(
    { limits, shares }: Pick<Config, 'limits' | 'shares'>,
    database: Database,
    keys: KeyRing,
    edges: EdgeNotifier,
    log: Logger,
  ) {
    this.#limits = limits;
    this.#log = log;
    this.#keys = keys;
    this.#database = database;
    this.#edges = edges;
    // Entries have no age limit here, since each session has its own end. When the share of a node is full, its oldest
    // session makes room.
    this.#byHash = new Shelf(shares.warden.sessions, Number.POSITIVE_INFINITY, ({ session }) => {
      this.#hashById.delete(session.id);
      this.#unwritten.delete(session.id);
    });
  }

  /**
   * Writes the row of a session inside the transaction in which the last proof counted; `lockForOpening` comes before.
   * Returns `full` when a cap of sessions is reached, and undefined when the end of the session has come already.
   */
  async open(tx: Transaction, opening: Opening): Promise<Opened | { readonly full: FullScope } | undefined> {
    const { account, customer, credential, caller } = opening;
    const full = await findFullScope(tx, { account, credential, customer, plane: caller.plane });
    if (full !== undefined) return { full };
    const token = randomBytes(32).toString('base64url');
    const id = idOf<SessionId>(randomUUID());
    const { sessionAbsoluteLifeMs: lifeMs, sessionIdleLifeMs: idleLifeMs } = this.#limits;
    const tokenHash = hashOf(token);
    const endsAt = Math.min(opening.now + lifeMs, opening.until ?? Number.POSITIVE_INFINITY);
    const absoluteLifeMs = await insertSession(tx, {
      id,
      tokenHash,
      account,
      credential,
      alsoCredential: opening.alsoCredential,
      purpose: opening.purpose,
      readOnly: opening.scope.account.readOnly,
      window: opening.window,
      node: caller.node,
      startId: opening.startId,
      sourceAddress: opening.source.address,
      sourcePort: opening.source.port,
      ...opening.issued,
      endsAt,
      endsAs: opening.window !== null && endsAt < opening.now + lifeMs ? 'window' : 'expired',
      idleLifeMs,
      scope: sealScope(this.#keys, {
        session: id,
        tokenHash: tokenHash.toString('hex'),
        ...opening.scope,
        credential,
        alsoCredential: opening.alsoCredential,
        node: caller.node,
        startId: opening.startId,
        purpose: opening.purpose,
        window: opening.window,
        source: opening.source.address,
        endsAt,
        idleMs: idleLifeMs,
      }),
    });
    return absoluteLifeMs === undefined
      ? undefined
      : { id, token, absoluteLifeMs: Math.max(1, Math.floor(absoluteLifeMs)), idleLifeMs };
  }

  async require(token: string, caller: EdgeCaller): Promise<OpenSession> {
    const session = await this.requireAny(token, caller);
    if (session.purpose !== 'transfer')
      throw new CofferdamError('denied', 'this session is for enrolling a second factor only');
    return session;
  }

  async requireAny(token: string, caller: EdgeCaller): Promise<OpenSession> {
    const hash = hashOf(token);
    const key = hash.toString('base64');
    const cached = this.#byHash.get(key) ?? (await this.#load(hash, key));
    const now = performance.now();
    if (cached === undefined || !isOf(cached.session, caller)) throw sessionEnded();
    if (now >= cached.expiresAt) throw sessionEnded();
    // A call for a client is activity. Whether the session is idle is decided by its row only, so that there is one
    // idle clock.
    this.#unwritten.set(cached.session.id, now);
    return cached.session;
  }

  /**
   * Returns the account of a session of this caller, if this process has it in memory. It is for accounting and decides
   * no access.
   */
  payerOf(
    token: string,
    caller: EdgeCaller,
  ): { readonly customer: CustomerId | null; readonly account: AccountId; readonly name: string } | undefined {
    const session = this.#byHash.get(hashOf(token).toString('base64'))?.session;
    if (session === undefined || !isOf(session, caller)) return undefined;
    const { customer, id, name } = session.account;
    return { customer, account: id, name };
  }

  /** See `Sessions.requireLettingGo` and `LettingGo` (open-session.ts). */
  async requireLettingGo(token: string, caller: EdgeCaller): Promise<LettingGo> {
    const ending = (): Promise<OpenSession> => this.#ending(token, caller);
    const orEnding = async <T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof CofferdamError) || error.code !== 'session-ended') throw error;
        return otherwise();
      }
    };
    let session = await orEnding(() => this.require(token, caller), ending);
    const run = <T>(work: (session: OpenSession) => Promise<T>): Promise<T> => {
      const begun = session;
      if (begun.isOver) return work(begun);
      return orEnding(
        () => work(begun),
        async () => {
          if (!session.isOver) session = await ending();
          return work(session);
        },
      );
    };
    return { session, run };
  }

  /**
   * Returns the session that ended within the grace period. Throws `session-ended` when there is none, or it holds no
   * upload any more.
   */
  async #ending(token: string, caller: EdgeCaller): Promise<OpenSession> {
    const hash = hashOf(token);
    const ending = await this.#database.withSystem((tx) => findEnding(tx, hash));
    const scope = ending && verifiedScope(this.#keys, ending, hash);
    if (ending === undefined || scope === undefined || !isOf(scope, caller)) throw sessionEnded();
    // The scope has no folders, so that the session can reach no name.
    const customers = scope.customers
      .filter((one) => ending.customers.includes(one.id))
      .map((one) => ({ ...one, folders: [] }));
    if (customers.length === 0) throw sessionEnded();
    return openSessionOf({ ...scope, account: { ...scope.account, manages: false }, ticket: null }, customers, true);
  }

  within<T>(session: OpenSession, customers: readonly CustomerId[], work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#database.withCustomers(customers, work, this.goingOn(session));
  }

  /**
   * Returns the condition for the beginning of a transaction: it throws `session-ended` when the session's row says
   * that it has ended. For an `isOver` session, a row that ended within the grace period satisfies it.
   */
  goingOn(session: OpenSession): Condition {
    return { ...goesOn(session.id, session.isOver), otherwise: sessionEnded };
  }

  async #load(hash: Buffer, key: string): Promise<Cached | undefined> {
    const before = this.#forgotten;
    const loaded = await this.#database.withSystem(async (tx) => {
      const row = await findOpenSession(tx, hash);
      if (row === undefined) return undefined;
      const scope = verifiedScope(this.#keys, row, hash);
      if (scope === undefined) return { altered: row.id };
      return {
        row,
        scope,
        active: await activeCustomers(
          tx,
          scope.customers.map((one) => one.id),
        ),
      };
    });
    if (loaded === undefined) return undefined;
    const { altered } = loaded;
    if (altered !== undefined) {
      await this.#database.withSystem((tx) =>
        alarmBroken(tx, { kind: 'session', id: altered }, 'a request of this session was refused'),
      );
      await this.end(altered, alteredReason, 'doubt');
      return undefined;
    }
    const { row, scope, active } = loaded;
    const now = performance.now();
    const session = openSessionOf(scope, scope.purpose === 'transfer' ? frozenCustomers(scope, active) : [], false);
    const cached: Cached = {
      session,
      expiresAt: now + Math.min(row.expiresInMs, scope.endsAt - row.now),
      touchEveryMs: touchEveryMs(Math.min(row.idleMs, scope.idleMs)),
      lastWritten: Number.NEGATIVE_INFINITY,
    };
    // A session was forgotten during the reading, maybe this one. It serves this call only, and the next call reads the
    // row again.
    if (this.#forgotten !== before) return cached;
    try {
      this.#byHash.put({ holder: session.node, group: session.account.plane }, key, cached);
      this.#hashById.set(row.id, key);
    } catch {
      // Other sessions of its plane hold the whole share, so this session is not kept in memory and is read again at
      // each call.
    }
    return cached;
  }

  #forget(id: SessionId): void {
    this.#forgotten += 1;
    const key = this.#hashById.get(id);
    if (key !== undefined) this.#byHash.delete(key);
    this.#unwritten.delete(id);
  }

  async end(session: SessionId, reason: string, end: SessionEnd): Promise<void> {
    await this.endMatching({ session }, reason, end);
  }

  /** Ends all open sessions of a filter in a transaction of its own. Returns how many there were. */
  async endMatching(filter: SessionFilter, reason: string, end?: SessionEnd): Promise<number> {
    const done = await this.#database.withSystem((tx) => this.endWithin(tx, filter, reason, end));
    done.announce();
    return done.count;
  }

  /**
   * Ends sessions inside the caller's transaction. The caller must call `announce` after the commit, so that the edges
   * hear of it.
   */
  async endWithin(
    tx: Transaction,
    filter: SessionFilter,
    reason: string,
    end: SessionEnd = endOf(filter),
  ): Promise<Ending> {
    if (!('node' in filter || 'overdue' in filter)) await lockForWithdrawal(tx, filter);
    return this.#end(tx, filter, reason, end);
  }

  async #end(
    tx: Transaction,
    filter: SessionFilter,
    reason: string,
    end: SessionEnd,
    moved: { readonly bytesIn?: number; readonly bytesOut?: number } = {},
  ): Promise<Ending> {
    const { sessions: ended, handles } = await endSessions(tx, filter, reason, end);
    for (const handle of handles) await handleClosed(tx, handle);
    for (const one of ended)
      await record(tx, {
        kind: 'session.ended',
        customer: one.customer,
        account: one.account,
        session: one.id,
        node: one.node,
        plane: one.plane,
        observer: 'warden',
        public: { reason, ...moved },
      });
    return {
      count: ended.length,
      announce: () => {
        for (const one of ended) {
          this.#forget(one.id);
          this.#edges.terminate(one.node, one.id, end);
        }
      },
    };
  }

  /**
   * Ends a session because its edge says that the connection is over. The numbers of bytes that are recorded are what
   * the edge reports, capped at what the wire can have carried.
   */
  async close(session: OpenSession, reason: EdgeEnd, bytesIn: number, bytesOut: number): Promise<void> {
    const done = await this.#database.withSystem(async (tx) => {
      const moved = await recordTransferred(tx, session.id, { bytesIn, bytesOut });
      if (moved.bytesIn < bytesIn || moved.bytesOut < bytesOut)
        await alarmImpossible(tx, session, Math.max(bytesIn, bytesOut));
      // The connection ended; no right is withdrawn, so `lockForWithdrawal` is not needed.
      return this.#end(tx, { session: session.id }, reason, reason, moved);
    });
    this.#forget(session.id);
    done.announce();
  }

  /**
   * Writes the activity that was seen, ends overdue sessions, and releases the uploads of sessions whose grace period
   * is over.
   */
  async sweep(): Promise<void> {
    const warden = { database: this.#database, log: this.#log };
    await eachInTurn(
      () => this.#writeActivity(),
      () => this.#outlived.pass(warden),
      () =>
        passOverRows(warden, 'session-end', {
          find: findOverdue,
          work: (tx, ids) => this.#endOverdue(tx, ids),
          done: (endings) => {
            for (const ending of endings) ending.announce();
          },
        }),
    );
  }

  async #endOverdue(tx: Transaction, ids: readonly string[]): Promise<readonly Ending[]> {
    const found = await takeOverdue(tx, ids);
    const endings: Ending[] = [];
    for (const as of new Set(found.map((one) => one.end)))
      endings.push(
        await this.endWithin(tx, { overdue: found.filter((one) => one.end === as).map((one) => one.id), as }, as),
      );
    return endings;
  }

  async #writeActivity(): Promise<void> {
    const now = performance.now();
    const due: (Activity & { readonly at: number; readonly cached: Cached | undefined })[] = [];
    for (const [session, at] of this.#unwritten) {
      const cached = this.#byHash.get(this.#hashById.get(session) ?? '');
      if (cached === undefined || now - cached.lastWritten >= cached.touchEveryMs)
        due.push({ session, quietMs: now - at, at, cached });
    }
    await this.#database.withSystem((tx) => touchSessions(tx, due, null));
    for (const { session, at, cached } of due) {
      if (cached !== undefined) cached.lastWritten = now;
      if (this.#unwritten.get(session) === at) this.#unwritten.delete(session);
    }
  }

  /** Removes sessions that were ended elsewhere (by another warden or a command) from memory. */
  forget(ids: readonly SessionId[]): void {
    for (const id of ids) this.#forget(id);
  }

  /**
   * Removes all sessions from memory, because notices may have been lost. Each is read from its row again at its next
   * call.
   */
  forgetAll(): void {
    this.forget([...this.#hashById.keys()]);
  }
}

/**
 * Returns whether the session belongs to the caller. A stolen token is worth nothing on another node, or on a node of
 * another plane.
 */
const isOf = ({ node, account }: Pick<OpenSession, 'node' | 'account'>, caller: EdgeCaller): boolean =>
  node === caller.node && account.plane === caller.plane;
const touchEveryMs = (idleMs: number): number => Math.min(touchEveryMsMax, idleMs / 10);
function sessionEnded(): CofferdamError {
  return new CofferdamError('session-ended', 'the session is over');
}
