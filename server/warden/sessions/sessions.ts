// Owns: open sessions: tokens, scopes, lives, and how they end.
// Must never: keep a token (only its SHA-256), or change a session's scope after it was opened.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { Purpose } from '../../domain/authentication-policy.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, type CustomerId, idOf, type SessionId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { Shelf } from '../../rpc/shelf.ts';
import { alarmImpossible } from '../alerts/impossible-words.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { type FullScope, findFullScope } from '../budgets/session-limit-queries.ts';
import type { EdgeCaller, EdgeNotifier, OpenSession, Sessions } from '../context.ts';
import type { Issued } from '../exchanges/exchanges.ts';
import { record } from '../ledger/ledger-queries.ts';
import { handleClosed } from '../retention/retention.ts';
import {
  endSessions,
  findOpenSession,
  insertSession,
  loadScope,
  recordTransferred,
  type SessionFilter,
  touchSessions,
} from './session-queries.ts';

type Cached = { readonly session: OpenSession; readonly expiresAt: number; readonly idleMs: number; lastSeen: number; lastWritten: number };

export type Opening = {
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly credential: CredentialId;
  /** The second one of a login with key and password. */
  readonly alsoCredential: CredentialId | null;
  readonly purpose: Purpose;
  readonly readOnly: boolean;
  /** Milliseconds since 1970, by what its proofs allow; null = as the configuration says. */
  readonly until: number | null;
  /** The window that stood for a second factor. */
  readonly window: string | null;
  readonly caller: EdgeCaller;
  readonly startId: string;
  readonly source: { readonly address: string; readonly port: number };
  readonly issued: Issued;
};
export type Opened = { readonly id: SessionId; readonly token: string; readonly absoluteLifeMs: number; readonly idleLifeMs: number };

const touchEveryMs = 5000;
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export class SessionRegistry implements Sessions {
  readonly #database: Database;
  readonly #config: Config;
  readonly #edges: EdgeNotifier;
  readonly #byHash: Shelf<Cached>;
  readonly #hashById = new Map<SessionId, string>();
  readonly #untouched = new Set<SessionId>();
  readonly #timer: NodeJS.Timeout;

  constructor(config: Config, database: Database, edges: EdgeNotifier, log: Logger) {
    this.#config = config;
    this.#database = database;
    this.#edges = edges;
    // They end by their own clocks; room is made by the oldest of the same node.
    this.#byHash = new Shelf(config.shares.warden.sessions, Number.POSITIVE_INFINITY, ({ session }) => {
      this.#hashById.delete(session.id);
      this.#untouched.delete(session.id);
    });
    this.#timer = setInterval(
      () => void this.sweep().catch((error: unknown) => log.warn({ err: error }, 'sessions could not be swept')),
      1000,
    );
    this.#timer.unref();
  }

  /** Writes the session row inside the transaction in which the last proof counted, after `lockForOpening`. undefined: its end has come already. */
  async open(tx: Transaction, opening: Opening): Promise<Opened | { readonly full: FullScope } | undefined> {
    const { account, customer, credential, caller } = opening;
    const full = await findFullScope(tx, { account, credential, customer, plane: caller.plane });
    if (full !== undefined) return { full };
    const token = randomBytes(32).toString('base64url');
    const id = idOf<SessionId>(randomUUID());
    const { sessionAbsoluteLifeMs: lifeMs, sessionIdleLifeMs: idleLifeMs } = this.#config.limits;
    const absoluteLifeMs = await insertSession(tx, {
      id,
      tokenHash: hashOf(token),
      account: opening.account,
      credential: opening.credential,
      alsoCredential: opening.alsoCredential,
      purpose: opening.purpose,
      readOnly: opening.readOnly,
      window: opening.window,
      node: opening.caller.node,
      startId: opening.startId,
      sourceAddress: opening.source.address,
      sourcePort: opening.source.port,
      ...opening.issued,
      lifeMs,
      until: opening.until,
      idleLifeMs,
    });
    return absoluteLifeMs === undefined ? undefined : { id, token, absoluteLifeMs: Math.max(1, Math.floor(absoluteLifeMs)), idleLifeMs };
  }

  async require(token: string, caller: EdgeCaller): Promise<OpenSession> {
    const session = await this.requireAny(token, caller);
    if (session.purpose !== 'transfer') throw new CofferdamError('denied', 'this session is for enrolling a second factor only');
    return session;
  }

  async requireAny(token: string, caller: EdgeCaller): Promise<OpenSession> {
    const hash = hashOf(token);
    const key = hash.toString('base64');
    const cached = this.#byHash.get(key) ?? (await this.#load(hash, key));
    const now = performance.now();
    if (cached === undefined || cached.session.node !== caller.node || cached.session.account.plane !== caller.plane) throw sessionEnded();
    if (now >= cached.expiresAt || now - cached.lastSeen >= cached.idleMs) throw sessionEnded();
    cached.lastSeen = now;
    if (now - cached.lastWritten > touchEveryMs) {
      cached.lastWritten = now;
      this.#untouched.add(cached.session.id);
    }
    return cached.session;
  }

  async #load(hash: Buffer, key: string): Promise<Cached | undefined> {
    const loaded = await this.#database.withSystem(async (tx) => {
      const row = await findOpenSession(tx, hash);
      return row && { row, customers: row.purpose === 'transfer' ? await loadScope(tx, row.account.id) : [] };
    });
    if (loaded === undefined) return undefined;
    const { row, customers } = loaded;
    const now = performance.now();
    const session: OpenSession = Object.freeze({
      id: row.id,
      node: row.node,
      account: Object.freeze(row.account),
      credentialId: row.credential,
      purpose: row.purpose,
      customers,
    });
    const cached: Cached = {
      session,
      expiresAt: now + row.expiresInMs,
      idleMs: row.idleMs,
      lastSeen: now - row.idleForMs,
      lastWritten: now,
    };
    try {
      this.#byHash.put({ holder: session.node, group: session.account.plane }, key, cached);
      this.#hashById.set(row.id, key);
    } catch {
      // Others of its plane hold all that there is: it is looked up each time, and each time counts as seen.
      cached.lastWritten = Number.NEGATIVE_INFINITY;
    }
    return cached;
  }

  #forget(id: SessionId): void {
    const key = this.#hashById.get(id);
    if (key !== undefined) this.#byHash.delete(key);
    this.#untouched.delete(id);
  }

  async end(session: SessionId, reason: string): Promise<void> {
    await this.endMatching({ session }, reason);
  }

  /** Ends all open sessions of a filter in a transaction of its own. Returns how many. */
  async endMatching(filter: SessionFilter, reason: string): Promise<number> {
    const done = await this.#database.withSystem((tx) => this.endWithin(tx, filter, reason));
    done.announce();
    return done.count;
  }

  /** Ends sessions inside the caller's transaction; `announce` must be called after its commit so that edges hear of it. */
  async endWithin(tx: Transaction, filter: SessionFilter, reason: string): Promise<{ readonly count: number; announce(): void }> {
    if (!('node' in filter || 'overdue' in filter)) await lockForWithdrawal(tx, filter);
    return this.#end(tx, filter, reason);
  }

  async #end(
    tx: Transaction,
    filter: SessionFilter,
    reason: string,
    moved: { readonly bytesIn?: number; readonly bytesOut?: number } = {},
  ): Promise<{ readonly count: number; announce(): void }> {
    const { sessions: ended, handles } = await endSessions(tx, filter, reason);
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
          this.#edges.terminate(one.node, one.id, reason);
        }
      },
    };
  }

  /** The edge says that a connection is over, and what it moved; its word on the bytes. */
  async close(session: OpenSession, reason: string, bytesIn: number, bytesOut: number): Promise<void> {
    const done = await this.#database.withSystem(async (tx) => {
      const moved = await recordTransferred(tx, session.id, { bytesIn, bytesOut });
      if (moved.bytesIn < bytesIn || moved.bytesOut < bytesOut) await alarmImpossible(tx, session, Math.max(bytesIn, bytesOut));
      // Its holder left: there is nothing to withdraw from anybody.
      return this.#end(tx, { session: session.id }, reason, moved);
    });
    this.#forget(session.id);
    done.announce();
  }

  /** Writes what was seen, and ends what is overdue. */
  async sweep(): Promise<void> {
    const seen = [...this.#untouched];
    this.#untouched.clear();
    if (seen.length > 0) await this.#database.withSystem((tx) => touchSessions(tx, seen));
    await this.endMatching({ overdue: true }, 'expired');
  }

  /** Sessions ended elsewhere (another warden, a command) leave the cache. */
  forget(ids: readonly SessionId[]): void {
    for (const id of ids) this.#forget(id);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export function sessionEnded(): CofferdamError {
  return new CofferdamError('session-ended', 'the session is over');
}
