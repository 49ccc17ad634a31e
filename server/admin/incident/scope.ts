// Owns: an incident's scope: what is asked becomes sessions and a window, the record's answer becomes lists and totals for each customer.
// Must never: leave anything out silently. What cannot be complete says so.
import { dirname } from 'node:path';
import { type Config, runtimePaths } from '../../config/config.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Database, Snapshot } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import type { IncidentCustomerRow, IncidentPart } from '../../rpc/operator-incident.ts';
import { ledgerStatus } from '../ledger/status-queries.ts';
import { findHits, type Indicator } from './hunt-queries.ts';
import {
  countRefused,
  eachAction,
  eachDeposit,
  eachFile,
  eachListing,
  eachReachable,
  eachSession,
  type Filter,
  findAccountId,
  hasArchives,
  isNode,
  isOperator,
  oldestMonth,
  type Picked,
  pickSessions,
  pickTouched,
  touchedBy,
} from './scope-queries.ts';
import { writeSlice } from './slice.ts';
import { Shelf, Spool } from './spool.ts';

type Wish = Params<OperatorToAdmin, 'incident.scope'>;
type Progress = Result<OperatorToAdmin, 'incident.progress'>;
type Summary = NonNullable<Progress['summary']>;
type CustomerTotals = { -readonly [K in keyof IncidentCustomerRow]: IncidentCustomerRow[K] };
type Job = {
  state: 'running' | 'done' | 'failed';
  text: string;
  summary: Summary | null;
  readonly spools: Partial<Record<IncidentPart, Spool>>;
  readonly filter: { current: Filter | null };
};

const statementMs = 300_000;
const keptMax = 4;
const keptMs = 15 * 60_000;

/** Sessions of everything that is asked for at once; null: no session was asked for. */
async function sessionsOf(tx: Snapshot, wish: Wish, account: string | null): Promise<readonly Picked[] | null> {
  const asks = wish.credential ?? wish.account ?? wish.source ?? wish.client ?? wish.session;
  const until = wish.until ?? null;
  const lists: (readonly Picked[])[] = [];
  if (asks !== undefined) {
    const { session = null, credential = null, source = null, client = null } = wish;
    lists.push(await pickSessions(tx, { session, credential, account, source, client, until }));
  }
  if (wish.operator !== undefined) lists.push(await pickTouched(tx, await touchedBy(tx, wish.operator), until));
  const [first, second] = lists;
  if (first === undefined || second === undefined) return first ?? null;
  const both = new Set(second.map((one) => one.session));
  return first.filter((one) => both.has(one.session));
}

async function filterOf(tx: Snapshot, wish: Wish): Promise<{ readonly filter: Filter; readonly account: string | null }> {
  const account = wish.account === undefined ? null : ((await findAccountId(tx, wish.account)) ?? null);
  if (wish.account !== undefined && account === null) throw new CofferdamError('not-found', `there is no account named ${wish.account}`);
  if (wish.node !== undefined && !(await isNode(tx, wish.node)))
    throw new CofferdamError('not-found', `there is no node named ${wish.node}`);
  if (wish.operator !== undefined && !(await isOperator(tx, wish.operator)))
    throw new CofferdamError('not-found', `there is no operator named ${wish.operator}`);
  const picked = await sessionsOf(tx, wish, account);
  // Nothing of a session is older than its first entry: months before it need no look.
  const first = picked?.reduce<Date | undefined>((oldest, { at }) => (oldest === undefined || at < oldest ? at : oldest), undefined);
  const since =
    [wish.since, first?.toISOString()]
      .filter((one) => one !== undefined)
      .sort()
      .at(-1) ?? null;
  const filter: Filter = { sessions: picked?.map((one) => one.session) ?? null, node: wish.node ?? null, since, until: wish.until ?? null };
  return { filter, account };
}

class Totals {
  readonly customers = new Map<string, CustomerTotals>();

  of({ customer, customerId }: { readonly customer: string; readonly customerId: string }): CustomerTotals {
    const known = this.customers.get(customerId);
    if (known !== undefined) return known;
    const none = {
      certain: 0,
      possible: 0,
      unsent: 0,
      releasedBytes: 0,
      sentBytes: 0,
      listings: 0,
      names: 0,
      deposits: 0,
      reachable: 0,
      reachableBytes: 0,
    };
    const fresh: CustomerTotals = { customer, customerId, ...none };
    this.customers.set(customerId, fresh);
    return fresh;
  }
}

export class Incidents {
  readonly #config: Config;
  readonly #database: Database;
  readonly #jobs = new Shelf<Job>(keptMax, keptMs);
  readonly #slices = new Shelf<Spool>(keptMax, keptMs);

  constructor(config: Config, database: Database) {
    this.#config = config;
    this.#database = database;
  }

  stop(): void {
    this.#jobs.clear();
    this.#slices.clear();
  }

  start(wish: Wish): { readonly scope: string } {
    if (wish.since !== undefined && wish.until !== undefined && wish.since >= wish.until)
      throw new CofferdamError('invalid', 'since lies behind until');
    const job: Job = { state: 'running', text: 'looking for sessions', summary: null, spools: {}, filter: { current: null } };
    const id = this.#jobs.put(job, () => {
      for (const spool of Object.values(job.spools)) spool.close();
    });
    this.#run(job, wish).catch((thrown: unknown) => {
      const error = toCofferdamError(thrown);
      job.state = 'failed';
      job.text = error.message;
    });
    return { scope: id };
  }

  progress(id: string): Progress {
    const { state, text, summary } = this.#jobs.get(id);
    return { state, text, summary };
  }

  page(id: string, part: IncidentPart, offset: number): Result<OperatorToAdmin, 'incident.page'> {
    const job = this.#jobs.get(id);
    const spool = job.spools[part];
    if (job.state !== 'done' || spool === undefined) throw new CofferdamError('conflict', 'the scope is not known yet');
    return { ...spool.page(offset) };
  }

  /** A page of the slice of one customer; the first call makes it. */
  async slice(id: string, customer: string, known: string | undefined, offset: number): Promise<Result<OperatorToAdmin, 'incident.slice'>> {
    if (known !== undefined) return { slice: known, ...this.#slices.get(known).page(offset) };
    const { state, filter } = this.#jobs.get(id);
    const { current } = filter;
    if (state !== 'done' || current === null) throw new CofferdamError('conflict', 'the scope is not known yet');
    const spool = new Spool(this.#directory);
    const slice = this.#slices.put(spool, () => spool.close());
    await this.#database.withSnapshot(statementMs, (tx) => writeSlice(tx, current, customer, spool));
    return { slice, ...spool.page(0) };
  }

  async hunt(indicators: readonly Indicator[]): Promise<Result<OperatorToAdmin, 'incident.hunt'>> {
    return { hits: [...(await this.#database.withSnapshot(statementMs, (tx) => findHits(tx, indicators)))] };
  }

  get #directory(): string {
    return dirname(runtimePaths(this.#config).adminSocket);
  }

  #spool(job: Job, part: IncidentPart): Spool {
    const spool = new Spool(this.#directory);
    job.spools[part] = spool;
    return spool;
  }

  async #run(job: Job, wish: Wish): Promise<void> {
    const started = performance.now();
    const totals = new Totals();
    const files = this.#spool(job, 'files');
    const listings = this.#spool(job, 'listings');
    const deposits = this.#spool(job, 'deposits');
    const sessions = this.#spool(job, 'sessions');
    const actions = this.#spool(job, 'actions');
    const reachable = this.#spool(job, 'reachable');
    const { refused, record, oldest, isCut } = await this.#database.withSnapshot(statementMs, async (tx) => {
      const { filter, account } = await filterOf(tx, wish);
      job.filter.current = filter;
      job.text = filter.sessions === null ? 'reading the record' : `reading the record of ${filter.sessions.length} sessions`;
      await eachFile(tx, filter, (row) => {
        const sum = totals.of(row);
        sum[row.certainty] += 1;
        sum.releasedBytes += row.releasedBytes;
        sum.sentBytes += row.sentBytes;
        files.add(row);
      });
      await eachListing(tx, filter, (row) => {
        const sum = totals.of(row);
        sum.listings += row.times;
        sum.names += row.names;
        listings.add(row);
      });
      await eachDeposit(tx, filter, (row) => {
        totals.of(row).deposits += 1;
        deposits.add(row);
      });
      await eachSession(tx, filter, (row) => sessions.add(row));
      if (wish.operator !== undefined)
        await eachAction(tx, wish.operator, wish.since ?? null, wish.until ?? null, (row) => actions.add(row));
      job.text = 'looking for what could have been read';
      await eachReachable(tx, filter, (row) => {
        const sum = totals.of(row);
        sum.reachable += 1;
        sum.reachableBytes += row.size;
        reachable.add(row);
      });
      const { credential = null, source = null, client = null, since = null, until = null } = wish;
      const isAsked = credential !== null || account !== null || source !== null || client !== null;
      return {
        refused: isAsked ? await countRefused(tx, { session: null, credential, account, source, client, until }, since) : [],
        record: await ledgerStatus(tx),
        oldest: await oldestMonth(tx),
        isCut: await hasArchives(tx),
      };
    });
    const customers = this.#spool(job, 'customers');
    const all = [...totals.customers.values()].sort((a, b) => b.releasedBytes - a.releasedBytes || (a.customer < b.customer ? -1 : 1));
    for (const one of all) customers.add(one);
    const sum = (pick: (one: CustomerTotals) => number): number => all.reduce((n, one) => n + pick(one), 0);
    const since = job.filter.current?.since?.slice(0, 7);
    job.summary = {
      sessions: sessions.count,
      customers: all.filter((one) => one.certain + one.possible + one.unsent + one.listings + one.deposits > 0).length,
      certain: sum((one) => one.certain),
      possible: sum((one) => one.possible),
      unsent: sum((one) => one.unsent),
      releasedBytes: sum((one) => one.releasedBytes),
      sentBytes: sum((one) => one.sentBytes),
      names: sum((one) => one.names),
      deposits: deposits.count,
      actions: actions.count,
      reachable: reachable.count,
      refused: refused.map(({ kind, n }) => ({ kind, count: n })),
      checkpoint: record.checkpoint,
      unwitnessedMs: record.unwitnessedMs,
      frozen: record.freeze?.text ?? null,
      oldestMonth: oldest,
      // Months before the oldest one that is online may hold more.
      isComplete: !isCut || (oldest !== null && since !== undefined && since >= oldest),
      tookMs: Math.round(performance.now() - started),
    };
    job.state = 'done';
    job.text = 'done';
  }
}
