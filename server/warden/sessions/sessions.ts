// Owns: open sessions: tokens, scopes, lives, and how they end.
// Must never: keep a token (only its SHA-256), or change a session's scope after it was opened.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { Purpose } from '../../domain/authentication-policy.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, type CustomerId, idOf, type SessionId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { type FullScope, findFullScope } from '../budgets/session-limit-queries.ts';
import { alarmBroken } from '../changes/seals.ts';
import type { EdgeCaller, EdgeNotifier, KeyRing, OpenSession, Sessions } from '../context.ts';
import type { Issued } from '../exchanges/exchanges.ts';
import { record } from '../ledger/ledger-queries.ts';
import { handleClosed } from '../retention/retention.ts';
import {
  activeCustomers,
  endSessions,
  findOpenSession,
  insertSession,
  recordTransferred,
  type SessionFilter,
  type SessionRow,
  touchSessions,
} from './session-queries.ts';
import { frozenCustomers, openScope, type SessionScope, sealScope } from './session-scope.ts';

type Cached = { readonly session: OpenSession; readonly expiresAt: number; readonly idleMs: number; lastSeen: number; lastWritten: number };

export type Opening = {
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly credential: CredentialId;
  /** The second one of a login with key and password. */
  readonly alsoCredential: CredentialId | null;
  readonly purpose: Purpose;
  /** What it may do, from the rows that were verified. */
  readonly scope: Pick<SessionScope, 'account' | 'customers' | 'ticket'>;
  /** Milliseconds since 1970, by what its proofs allow; null = as the configuration says. */
  readonly until: number | null;
  /** Milliseconds since 1970, by the clock of the database. */
  readonly now: number;
  /** The window that stood for a second factor. */
  readonly window: string | null;
  readonly caller: EdgeCaller;
  readonly startId: string;
  readonly source: { readonly address: string; readonly port: number };
  readonly client: string;
  readonly issued: Issued;
};
export type Opened = { readonly id: SessionId; readonly token: string; readonly absoluteLifeMs: number; readonly idleLifeMs: number };

export const alteredReason = 'a row behind this session was altered';
const cachedMax = 20_000;
const touchEveryMs = 5000;
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export class SessionRegistry implements Sessions {
  readonly #database: Database;
  readonly #config: Config;
  readonly #edges: EdgeNotifier;
  readonly #keys: KeyRing;
  readonly #byHash = new Map<string, Cached>();
  readonly #hashById = new Map<SessionId, string>();
  readonly #untouched = new Set<SessionId>();
  readonly #timer: NodeJS.Timeout;

  constructor(config: Config, database: Database, keys: KeyRing, edges: EdgeNotifier, log: Logger) {
    this.#config = config;
    this.#keys = keys;
    this.#database = database;
    this.#edges = edges;
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
      client: opening.client,
      ...opening.issued,
      endsAt,
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
      await this.#database.withSystem((tx) => alarmBroken(tx, { kind: 'session', id: altered }, 'a request of it was refused'));
      await this.end(altered, alteredReason);
      return undefined;
    }
    const { row, scope, active } = loaded;
    const now = performance.now();
    const session: OpenSession = Object.freeze({
      id: scope.session,
      node: scope.node,
      account: Object.freeze(scope.account),
      credentialId: scope.credential,
      purpose: scope.purpose,
      ticket: scope.ticket,
      customers: scope.purpose === 'transfer' ? frozenCustomers(scope, active) : [],
    });
    const cached: Cached = {
      session,
      expiresAt: now + Math.min(row.expiresInMs, scope.endsAt - row.now),
      idleMs: Math.min(row.idleMs, scope.idleMs),
      lastSeen: now - row.idleForMs,
      lastWritten: now,
    };
    if (this.#byHash.size >= cachedMax) this.#forget([...this.#hashById.keys()][0]);
    this.#byHash.set(key, cached);
    this.#hashById.set(row.id, key);
    return cached;
  }

  #forget(id: SessionId | undefined): void {
    if (id === undefined) return;
    const key = this.#hashById.get(id);
    if (key !== undefined) this.#byHash.delete(key);
    this.#hashById.delete(id);
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
      await recordTransferred(tx, session.id, bytesIn, bytesOut);
      // Its holder left: there is nothing to withdraw from anybody.
      return this.#end(tx, { session: session.id }, reason, { bytesIn, bytesOut });
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

/** The scope that was sealed for this very row and token; undefined: somebody else wrote one of them. */
function verifiedScope(keys: KeyRing, row: SessionRow, tokenHash: Buffer): SessionScope | undefined {
  const scope = openScope(keys, row.scope, row.scopeMac);
  const isWhole =
    scope !== undefined &&
    scope.session === row.id &&
    scope.tokenHash === tokenHash.toString('hex') &&
    scope.account.id === row.account &&
    scope.credential === row.credential &&
    scope.alsoCredential === row.alsoCredential &&
    scope.node === row.node &&
    scope.purpose === row.purpose &&
    scope.window === row.window;
  return isWhole ? scope : undefined;
}

export function sessionEnded(): CofferdamError {
  return new CofferdamError('session-ended', 'the session is over');
}
