// Owns: the answers that operators wait for or page through: a few at a time, each kept for a limited time and for the
// operator who asked.
// Must never: keep an answer longer than it may live, or show it to another operator.
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { type Config, type Directories, runtimePaths } from '../../config/config.ts';
import { type AdminShares, defaultShares } from '../../config/shares.ts';
import * as detached from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Indicator } from '../../domain/incident/indicators.ts';
import type { Claim } from '../../domain/share.ts';
import { incidentConnections } from '../../postgres/connection-limits.ts';
import { Database } from '../../postgres/database.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import type { Snapshot, SnapshotOptions } from '../../postgres/snapshot.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { IncidentPart, IncidentSummary } from '../../rpc/operators/incident.ts';
import { incidentParts } from '../../rpc/operators/incident.ts';
import type { ListedArchive } from '../../rpc/operators/ledger.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { Shelf } from '../../rpc/shelf.ts';
import { Slots } from '../../rpc/slots.ts';
import { missEntry } from '../calls/operator-queries.ts';
import { EpochAnchors } from '../ledger/proofs.ts';
import { witnessedHeads } from '../ledger/proving.ts';
import { AlteredRecord } from '../ledger/proving-tree.ts';
import { listArchives } from './archive-queries.ts';
import { hunt } from './hunt.ts';
import { proveAnswer } from './proof.ts';
import { type Answered, findScope } from './scope.ts';
import type { Chosen } from './selection-queries.ts';
import { nameProof, writeSlice } from './slice.ts';
import { Spool } from './spool.ts';

export const scopeLimits = {
  livesMs: 15 * 60_000,
  /** How long an answer may take. An older snapshot would slow down everybody's grants, so the answer is given up. */
  takesMs: 5 * 60_000,
  /** How much longer it may take when it is proved as well. */
  provesMs: 15 * 60_000,
  /** The longest life of a session: it can have been opened so long before the window. */
  sessionLifeMs: 24 * 3_600_000,
  /** How long a question may take that is answered within one call. A call must be answered within 30 s. */
  huntMs: 25_000,
  bytesMax: 4 * 1024 ** 3,
  pageBytesMax: 110_000,
} as const;
export type ScopeLimits = { readonly [K in keyof typeof scopeLimits]: number };

type State =
  | { readonly is: 'running' }
  | { readonly is: 'failed'; readonly error: CofferdamError }
  | { readonly is: 'done'; readonly summary: IncidentSummary; readonly chosen: Chosen };
type Step = IncidentPart | 'selection' | 'proof';
/**
 * The connection on which a question came: the same function for all questions of one connection. It returns whether
 * the connection is gone.
 */
type Asker = () => boolean;
type Held = {
  readonly operator: string;
  readonly from: Asker | undefined;
  readonly spool: Spool;
  readonly giveUp: AbortController;
  readonly timer: NodeJS.Timeout;
  state: State;
  step: Step;
  /** The number of entries that were proved so far. */
  provedRows: number;
  readonly settled: Promise<void>;
  /** The last slice that is being written. Slices go into the spool one after the other. */
  slicing: Promise<void>;
};
type ScopeShares = Pick<AdminShares, 'answers' | 'questions' | 'searches'>;
type ScopeParams = Params<OperatorToAdmin, 'incident.scope'>;

/** The answers of `incident` commands: it starts, keeps, pages and drops them. */
export class Scopes {
  readonly #held: Shelf<Held>;
  /**
   * The places for questions that work at the same time, each over two connections. There are few, because the sorts
   * and the snapshots burden the database; further questions wait for their turn.
   */
  readonly #questions: Slots;
  readonly #database: Database;
  readonly #directory: string;
  readonly #limits: ScopeLimits;
  readonly #anchors = new EpochAnchors();

  constructor(
    place: { readonly url: string; readonly directory: string },
    limits: ScopeLimits = scopeLimits,
    shares: ScopeShares = defaultShares.admin,
  ) {
    const connectionsMax = incidentConnections(shares);
    this.#database = new Database({ url: place.url, applicationName: 'cofferdam incident', connectionsMax });
    this.#questions = new Slots(shares.questions);
    this.#held = new Shelf(shares.answers, limits.livesMs + limits.provesMs, ({ timer, giveUp, spool }) => {
      clearTimeout(timer);
      giveUp.abort(new CofferdamError('not-found', 'this answer was given up'));
      spool.close();
    });
    this.#directory = place.directory;
    this.#limits = limits;
  }

  static of(config: Directories & Pick<Config, 'database' | 'shares' | 'limits'>): Scopes {
    return new Scopes(
      { url: roleUrl(config, 'admin'), directory: dirname(runtimePaths(config).adminSocket) },
      {
        ...scopeLimits,
        sessionLifeMs: Math.max(scopeLimits.sessionLifeMs, config.limits.sessionAbsoluteLifeMs + scopeLimits.livesMs),
      },
      config.shares.admin,
    );
  }

  /**
   * Starts an answer and returns its id. When the person has no place left, the oldest answer of the same person that
   * `mayGo` allows is removed for it. Throws `over-limit` when there is none.
   */
  start(by: Claim, { selection, unread, proved = false }: ScopeParams, from?: Asker): string {
    const id = randomUUID();
    const spool = new Spool(this.#directory, this.#limits);
    const giveUp = new AbortController();
    const { takesMs, livesMs, provesMs } = this.#limits;
    const more = proved ? provesMs : 0;
    const timer = setTimeout(() => this.#held.delete(id), livesMs + more);
    timer.unref();
    const options = { timeoutMs: takesMs + more, workMemory: '256MB', signal: giveUp.signal } as const;
    const begun = Promise.withResolvers<void>();
    const running = begun.promise.then(() =>
      this.#questions.within(by, () => this.#answer(options, held, { selection, unread, proved })),
    );
    const settled = running.then(
      ({ summary, chosen }) => {
        held.state = { is: 'done', summary, chosen };
      },
      (thrown: unknown) => {
        held.state = { is: 'failed', error: explained(thrown) };
        spool.close();
      },
    );
    const held: Held = {
      operator: by.holder,
      from,
      spool,
      giveUp,
      timer,
      state: { is: 'running' },
      step: 'selection',
      provedRows: 0,
      settled,
      slicing: Promise.resolve(),
    };
    try {
      this.#held.put(by, id, held, (kept) => mayGo(kept, from));
      begun.resolve();
    } catch (error) {
      clearTimeout(timer);
      begun.reject(error);
      throw error;
    }
    return id;
  }

  /**
   * Finds an answer, and proves it in the same snapshot when that was asked for. The checkpoint is waited for after the
   * snapshot has ended.
   */
  async #answer(
    options: SnapshotOptions,
    held: Held,
    { selection, unread, proved }: ScopeParams,
  ): Promise<Pick<Answered, 'summary' | 'chosen'>> {
    const started: { proof?: number } = {};
    const onRows = (count: number): void => {
      held.provedRows += count;
    };
    try {
      const { answered, proving } = await this.#database.withSnapshot(options, async (snapshot) => {
        const found = await findScope(snapshot, held.spool, selection, unread === true, (step) => {
          held.step = step;
        });
        if (proved !== true) return { answered: found, proving: undefined };
        held.step = 'proof';
        started.proof = performance.now();
        return {
          answered: found,
          proving: await proveAnswer(snapshot, found, this.#limits.sessionLifeMs, onRows),
        };
      });
      const { summary, chosen } = answered;
      if (proving === undefined) return { summary, chosen };
      const tookMs = Math.round(performance.now() - (started.proof ?? 0));
      const { entries, trees, archived } = proving;
      const heads = await witnessedHeads(this.#database, proving, options.signal);
      return { summary: { ...summary, proved: { entries, trees, archived, ...heads, tookMs } }, chosen };
    } catch (error) {
      if (started.proof !== undefined && error instanceof CofferdamError && error.code === 'corrupt')
        await this.#alarm(error);
      throw error;
    }
  }

  /** Raises the critical alert that the record was changed. The answer fails, whether that is written or not. */
  async #alarm(error: CofferdamError): Promise<void> {
    const [what, number] = error instanceof AlteredRecord ? [error.what, error.number] : ['the heads', 0];
    await this.#database.withSystem((tx) => missEntry(tx, number, what, 'altered')).catch(() => {});
  }

  /** Looks for a page of indicators. */
  hunt(indicators: readonly Indicator[]): ReturnType<typeof hunt> {
    return this.#withinCall((snapshot) => hunt(snapshot, indicators));
  }

  /** Returns the months that were written into archives. */
  archives(): Promise<readonly ListedArchive[]> {
    return this.#withinCall(listArchives);
  }

  /** Runs `look` in a snapshot, within the time of one call. */
  #withinCall<T>(look: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const options = {
      timeoutMs: this.#limits.huntMs,
      workMemory: '256MB',
      signal: new AbortController().signal,
    } as const;
    return this.#database.withSnapshot(options, look).catch((thrown: unknown) => {
      throw explained(thrown);
    });
  }

  #require(id: string, operator: string): Held {
    const held = this.#held.get(id);
    if (held === undefined || held.operator !== operator)
      throw new CofferdamError(
        'not-found',
        'this answer is gone, or never was: ask again. It is kept for 15 minutes, and only a few of one person are',
      );
    return held;
  }

  async progress(
    operator: string,
    { scope, waitMs = 0 }: Params<OperatorToAdmin, 'incident.progress'>,
  ): Promise<Result<OperatorToAdmin, 'incident.progress'>> {
    const held = this.#require(scope, operator);
    let timer: NodeJS.Timeout | undefined;
    if (held.state.is === 'running')
      await Promise.race([held.settled, new Promise((resolve) => (timer = setTimeout(resolve, waitMs)))]);
    clearTimeout(timer);
    const { state, spool, step } = held;
    if (state.is === 'failed') return { state: 'failed', code: state.error.code, text: state.error.message };
    const parts = Object.keys(incidentParts) as IncidentPart[];
    if (state.is === 'done')
      return {
        state: 'done',
        summary: state.summary,
        rows: Object.fromEntries(parts.map((part) => [part, spool.rowsOf(part)])),
      };
    return { state: 'running', step, rows: step === 'proof' ? held.provedRows : spool.rows };
  }

  page(
    operator: string,
    { scope, part, customerId, offset = 0 }: Params<OperatorToAdmin, 'incident.page'>,
  ): Result<OperatorToAdmin, 'incident.page'> {
    const { state, spool } = this.#require(scope, operator);
    if (state.is === 'failed') throw state.error;
    if (state.is === 'running') throw new CofferdamError('conflict', 'the answer is not complete yet');
    const { rows, next } = spool.page(part, customerId, offset);
    return { rows: [...rows], next };
  }

  /** Returns a page of the slice of one customer. The first call makes the slice. */
  async slice(
    operator: string,
    { scope, customerId, offset = 0 }: Params<OperatorToAdmin, 'incident.slice'>,
  ): Promise<Result<OperatorToAdmin, 'incident.slice'>> {
    const held = this.#require(scope, operator);
    const { state, spool } = held;
    if (state.is === 'failed') throw state.error;
    if (state.is === 'running') throw new CofferdamError('conflict', 'the answer is not complete yet');
    if (state.summary.proved === null)
      throw new CofferdamError('conflict', 'this answer was not proved, and nobody is told anything by it: ask anew');
    const part = `slice ${customerId}`;
    const options = { timeoutMs: this.#limits.takesMs, workMemory: '256MB', signal: held.giveUp.signal } as const;
    const made = held.slicing.then(async () => {
      if (spool.rowsOf(part) > 0) return;
      await this.#database.withSnapshot(options, (snapshot) =>
        writeSlice(snapshot, this.#anchors, state.chosen, customerId, (row) => spool.add(part, '', row)),
      );
      spool.flush();
    });
    held.slicing = detached.held(made.catch(() => {}));
    await made.catch((thrown: unknown) => {
      throw explained(thrown);
    });
    const { rows, next } = spool.page(part, undefined, offset);
    return { rows: [...rows], next };
  }

  /**
   * Returns the last entry by which the customer got a name, with its audit path in the customer's tree of `size`
   * entries. `proof` is null when the database cannot prove it, because a part of the tree is in an archive.
   */
  async namedBy({
    customerId,
    size,
  }: Params<OperatorToAdmin, 'incident.named-by'>): Promise<Result<OperatorToAdmin, 'incident.named-by'>> {
    const proof = await this.#withinCall((snapshot) => nameProof(snapshot, customerId, size));
    return { proof: proof === undefined ? null : { ...proof, shown: [...proof.shown], path: [...proof.path] } };
  }

  async stop(): Promise<void> {
    const last = this.#held.values;
    this.#held.clear();
    await Promise.all(last.map((one) => one.settled));
    await this.#database.close();
  }
}

/**
 * Returns whether an answer may be removed for a new one: its connection is gone, or it is no longer running and was
 * asked for on the same connection as the new one, or on none.
 */
const mayGo = (kept: Held, from: Asker | undefined): boolean =>
  kept.from?.() === true || (kept.state.is !== 'running' && (kept.from === undefined || kept.from === from));

/**
 * Returns the error to report. A statement that was cancelled because of its duration becomes `over-limit` with advice.
 */
function explained(thrown: unknown): CofferdamError {
  const error = toCofferdamError(thrown);
  const cause = error.cause;
  const isCancelled = cause instanceof Error && 'code' in cause && (cause.code === '57014' || cause.code === '25P04');
  return isCancelled
    ? new CofferdamError(
        'over-limit',
        'the answer took too long and was given up: narrow the question, by a time or an account',
        {
          cause: thrown,
        },
      )
    : error;
}
