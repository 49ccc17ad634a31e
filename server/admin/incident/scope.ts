// Owns: finding what a selection did, step by step, in one snapshot of the database, and writing it into a spool
// (decision 0017).
// Must never: report less than the record says. When a step fails, the whole answer fails.
import { CofferdamError } from '../../domain/errors.ts';
import { certaintyOf } from '../../domain/incident/certainty.ts';
import { choosesSessions, concernsLogins, kindOfSelection, type Selection } from '../../domain/incident/selection.ts';
import type { SharedSnapshot, Snapshot } from '../../postgres/snapshot.ts';
import type { IncidentPart, IncidentRow, IncidentSummary, RecordState } from '../../rpc/operators/incident.ts';
import { ledgerStatus } from '../ledger/status-queries.ts';
import {
  type CustomersOf,
  eachAction,
  eachDeposit,
  eachFile,
  eachNames,
  type FoundFile,
  firstHalf,
} from './scope-queries.ts';
import {
  accountNames,
  type Chosen,
  clientsLike,
  countFailedLogins,
  eachCustomerOfSessions,
  eachOlderSession,
  eachSession,
  eachTrace,
  type FailedLogins,
  type FoundSession,
  findAccountId,
  goBySessions,
  isKnownNode,
  isKnownOperator,
  type Marks,
  openHandles,
  type SessionQuestion,
  type Span,
  sessionsOnNode,
  spanOfRecord,
  spellingsOf,
  touchedBy,
  unknownSelectors,
} from './selection-queries.ts';
import type { Spool } from './spool.ts';
import { Totals } from './totals.ts';
import { eachUnread, type Reach, readableFolders, totalUnread } from './unread-queries.ts';

/** The largest number of sessions, whose ids are held in memory. It is more than anybody will look through. */
const sessionsMax = 1_000_000;
const accountsShownMax = 500;

type Progress = (step: IncidentPart | 'selection') => void;
type Work = {
  readonly snapshot: Snapshot;
  readonly spool: Spool;
  readonly totals: Totals;
  readonly progress: Progress;
};

/**
 * Returns the state of the record from which the answer is read, so that its reader can judge how complete it is. What
 * an operator touched is asked from the beginning of the record, whenever the window begins.
 */
async function recordState(
  snapshot: Snapshot,
  oldestOnline: string | null,
  { since, operator }: Selection,
): Promise<RecordState> {
  const { checkpoint, checkpointAt, unsealed, unwitnessedMs, freeze } = await ledgerStatus(snapshot, []);
  const isWhole = oldestOnline === null || (operator === undefined && since !== undefined && since >= oldestOnline);
  return {
    checkpoint,
    checkpointAt,
    unsealed,
    unwitnessedMs,
    frozen: freeze?.text ?? null,
    completeFrom: isWhole ? null : oldestOnline,
  };
}

type Found = {
  readonly chosen: Chosen;
  readonly accounts: ReadonlySet<string>;
  /** The time from the start of the first session to the end of the last one. */
  readonly from: string;
  readonly until: string;
  /** When the first session was opened. */
  readonly first: string;
};

async function findSessions(
  { snapshot, spool, progress }: Work,
  question: SessionQuestion,
  { isChosen, subject, marks }: { readonly isChosen: boolean; readonly subject: string; readonly marks: Marks | null },
  span: Span,
): Promise<Found> {
  progress('sessions');
  const ids: string[] = [];
  /** The sessions among them that had begun before the window. */
  const older: string[] = [];
  const accounts = new Set<string>();
  let [first, last] = [span.now, ''];
  let before = '';
  const onRow = ({ accountId, ...row }: FoundSession): void => {
    if (row.session === before) return;
    before = row.session;
    spool.add('sessions', '', row);
    if (isChosen) ids.push(row.session);
    if (isChosen && question.since !== null && (row.start === null || row.start < question.since))
      older.push(row.session);
    if (ids.length > sessionsMax)
      throw new CofferdamError('over-limit', `more than ${sessionsMax} sessions fit: narrow the question`);
    if (accountId !== null) accounts.add(accountId);
    if (row.start !== null && row.start < first) first = row.start;
    // Of a session that did something after its end, nobody knows how long it could read.
    const ended = row.end === null || (question.since !== null && row.end < question.since) ? span.now : row.end;
    if (ended > last) last = ended;
  };
  const { oldestOnline } = span;
  if (oldestOnline !== null && (question.since === null || question.since < oldestOnline || isChosen))
    await eachOlderSession(snapshot, question, oldestOnline, onRow);
  await eachSession(snapshot, question, onRow);
  // A session that was asked for by its id counts even when no entry says how it was opened.
  const onlyNamed =
    question.session !== null &&
    question.credential === null &&
    question.source === null &&
    question.client === null &&
    question.touched === null;
  if (onlyNamed && question.session !== null && ids.length === 0) {
    ids.push(question.session);
    older.push(question.session);
  }
  const { node, since, until, account } = question;
  const from = since !== null && since > first ? since : first;
  const end = until !== null && until < last ? until : last;
  // A slice that is made later from this answer ends at the time at which the answer was asked for, also when a later
  // time was given. One millisecond is added, because `now` was cut to milliseconds.
  const asked = new Date(Date.parse(span.now) + 1).toISOString();
  const stop = until === null || Date.parse(until) > Date.parse(asked) ? asked : until;
  const of = { sessions: isChosen ? ids : null, node, account };
  const open = since === null ? null : await openHandles(snapshot, { ...of, sessions: isChosen ? older : null, since });
  return { chosen: { ...of, since, open, until: stop, subject, marks }, accounts, from, until: end, first };
}

/** Returns what an entry of no session must name. A session was asked for by its id: then no other entry belongs. */
const marksOf = (
  { credential, source, clients, session }: SessionQuestion,
  operators: readonly string[] | null,
): Marks | null => (session === null ? { credential, source, clients, operators } : null);

/** Counts the entries that belong to the selection for each customer, and lists those of no session. */
async function findTraces({ snapshot, spool, totals, progress }: Work, chosen: Chosen): Promise<void> {
  progress('traces');
  await goBySessions(snapshot, chosen.sessions);
  await eachCustomerOfSessions(snapshot, chosen, (row) => totals.addEntries(row));
  await goBySessions(snapshot, null);
  await eachTrace(snapshot, chosen, (row) => {
    spool.add('traces', row.customerId ?? '', row);
    totals.addTrace(row);
  });
}

function fileRow({ sent, unclear, sha256Differs, sizeDiffers, ...row }: FoundFile): IncidentRow<'files'> {
  const differs = [...(sha256Differs === true ? ['sha256'] : []), ...(sizeDiffers === true ? ['size'] : [])];
  return { ...row, certainty: certaintyOf({ sent, unclear }), differs };
}

async function findFiles({ snapshot, spool, totals, progress }: Work, chosen: Chosen, of: CustomersOf): Promise<void> {
  progress('files');
  await goBySessions(snapshot, chosen.sessions);
  await eachFile(snapshot, chosen, of, (found) => {
    const row = fileRow(found);
    spool.add('files', row.customerId ?? '', row);
    totals.addFile(row);
  });
}

async function findNames({ snapshot, spool, totals, progress }: Work, chosen: Chosen): Promise<void> {
  progress('names');
  await goBySessions(snapshot, chosen.sessions);
  await eachNames(snapshot, chosen, (row) => {
    spool.add('names', row.customerId ?? '', row);
    totals.addNames(row);
  });
}

async function findDeposits({ snapshot, spool, totals, progress }: Work, chosen: Chosen): Promise<void> {
  progress('deposits');
  await goBySessions(snapshot, chosen.sessions);
  await eachDeposit(snapshot, chosen, (row) => {
    spool.add('deposits', row.customerId ?? '', row);
    totals.addDeposit(row);
  });
}

async function findUnread(
  { snapshot, spool, totals, progress }: Work,
  chosen: Chosen,
  reach: Reach,
  isListed: boolean,
): Promise<void> {
  progress('unread');
  // The catalogue is read sequentially; reading it through its indexes would fetch single pages in random order.
  await goBySessions(snapshot, null);
  if (reach.folders.length === 0) return;
  if (!isListed) {
    for (const { customer, customerId, files, bytes } of await totalUnread(snapshot, chosen, reach))
      totals.addUnread(customer, customerId, files, bytes);
    return;
  }
  await eachUnread(snapshot, chosen, reach, (row) => {
    spool.add('unread', row.customerId ?? '', row);
    totals.addUnread(row.customer, row.customerId ?? '', 1, row.size);
  });
}

/** Runs the steps that read many entries, two at a time. In the answer their rows stand in the order of the parts. */
async function findActivity(
  snapshot: SharedSnapshot,
  work: Omit<Work, 'snapshot'>,
  { chosen, accounts, from, until }: Found,
  isListed: boolean,
): Promise<void> {
  const customers = await firstHalf(snapshot);
  const folders = accounts.size === 0 ? [] : await readableFolders(snapshot, [...accounts]);
  const first = new Set(customers);
  // When the selection is a large part of the record, one step finds out what was released for all customers, so that
  // the record is read only once.
  const isByHalves = await goBySessions(snapshot, chosen.sessions);
  const unread = (isRest: boolean) => {
    const part = folders
      .filter(({ customer }) => (isByHalves && !first.has(customer)) === isRest)
      .map(({ folder }) => folder);
    return (one: Work): Promise<void> => findUnread(one, chosen, { folders: part, from, until }, isListed);
  };
  // The longest steps begin first. Each step that returns rows runs beside one that only counts, because the rows of
  // both halves at once would wait for this single process.
  const steps: readonly { readonly order: number; readonly find: (work: Work) => Promise<void> }[] = [
    { order: 0, find: (one) => findFiles(one, chosen, { customers, isRest: false }) },
    { order: 4, find: unread(false) },
    { order: 1, find: (one) => findFiles(one, chosen, { customers, isRest: true }) },
    { order: 5, find: unread(true) },
    { order: 2, find: (one) => findNames(one, chosen) },
    { order: 6, find: (one) => findTraces(one, chosen) },
    { order: 3, find: (one) => findDeposits(one, chosen) },
  ];
  const begun: ((typeof steps)[number] & { readonly spool: Spool })[] = [];
  try {
    for (const step of steps) begun.push({ ...step, spool: work.spool.beside() });
    // Both lanes share one iterator, so that each step is taken once.
    const waiting = begun.values();
    const lane = async (look: Snapshot): Promise<void> => {
      for (const step of waiting) await step.find({ ...work, snapshot: look, spool: step.spool });
    };
    await snapshot.beside(lane, lane);
    for (const { spool } of begun.sort((a, b) => a.order - b.order)) await work.spool.append(spool);
  } finally {
    for (const { spool } of begun) spool.close();
  }
}

/**
 * Returns the sums of failed logins. When sessions were chosen, attempts of strangers are in no session, and their odd
 * entries were not counted with the others.
 */
const loginTotals = (odd: number, logins: FailedLogins | undefined, { sessions }: Chosen) => ({
  refusedLogins: logins?.refused ?? 0,
  partialLogins: logins?.partial ?? 0,
  refusedSessions: logins?.sessions ?? 0,
  strangerLogins: logins?.strangers ?? 0,
  oddEntries: odd + (sessions === null ? 0 : (logins?.odd ?? 0)),
});

type Asked = {
  readonly question: SessionQuestion /** All spellings of the operator that was asked for. */;
  readonly spellings: readonly string[];
};

/**
 * Returns the id of the account that was asked for, or null. Throws when the account, node or operator does not exist.
 */
async function requireKnown(snapshot: Snapshot, { account, node, operator }: Selection): Promise<string | null> {
  const found = account === undefined ? null : ((await findAccountId(snapshot, account)) ?? null);
  if (account !== undefined && found === null)
    throw new CofferdamError('not-found', `there is no account named ${account}: see \`cofferctl account list\``);
  if (node !== undefined && !(await isKnownNode(snapshot, node)))
    throw new CofferdamError('not-found', `there is no edge named ${node}: see \`cofferctl status\``);
  if (operator !== undefined && !(await isKnownOperator(snapshot, operator)))
    throw new CofferdamError('not-found', `there is no operator named ${operator}: see \`cofferctl operator list\``);
  return found;
}

/**
 * Turns the selection into what the queries ask for. Throws when it asks for the future, or for somebody who does not
 * exist.
 */
async function askedOf(snapshot: Snapshot, selection: Selection, { now }: Span): Promise<Asked> {
  const { since = null, until = null, operator } = selection;
  if (since !== null && Date.parse(since) > Date.parse(now))
    throw new CofferdamError(
      'invalid',
      `the window begins at ${since}, which is in the future: the record says nothing of it`,
    );
  const account = await requireKnown(snapshot, selection);
  const spellings = operator === undefined ? [] : await spellingsOf(snapshot, operator);
  const question: SessionQuestion = {
    credential: selection.credential ?? null,
    source: selection.source ?? null,
    client: selection.client ?? null,
    clients: selection.client === undefined ? null : await clientsLike(snapshot, selection.client),
    session: selection.session ?? null,
    node: selection.node ?? null,
    account,
    since,
    until,
    touched: operator === undefined ? null : await touchedBy(snapshot, spellings, until),
    among:
      selection.node !== undefined && since !== null && !choosesSessions(selection)
        ? await sessionsOnNode(snapshot, selection.node, since, until)
        : null,
  };
  return { question, spellings };
}

/** Lists what the operator who was asked for did, and returns how many actions these are. */
async function findActions({ snapshot, spool, progress }: Work, { question, spellings }: Asked): Promise<number> {
  progress('actions');
  return eachAction(snapshot, spellings, question, (row) => spool.add('actions', '', row));
}

type Counted = {
  readonly found: Found;
  readonly question: SessionQuestion;
  readonly actions: number;
  readonly logins: FailedLogins | undefined;
};

/** Returns everything of the summary that follows from what was found. */
async function totalled(
  { snapshot, spool, totals }: Work,
  { found, question, actions, logins }: Counted,
): Promise<Pick<IncidentSummary, 'totals' | 'window' | 'isEmpty' | 'unknown' | 'accounts' | 'accountsMore'>> {
  const names = await accountNames(snapshot, [...found.accounts], accountsShownMax + 1);
  const all = totals.all();
  const isEmpty = all.entries + actions + (logins?.strangers ?? 0) === 0 && spool.rowsOf('sessions') === 0;
  return {
    totals: {
      ...all,
      sessions: spool.rowsOf('sessions'),
      actions,
      ...loginTotals(all.oddEntries, logins, found.chosen),
    },
    window: { since: question.since, until: found.chosen.until },
    isEmpty,
    unknown: isEmpty ? (await unknownSelectors(snapshot, question)).map((name) => `${name} ${question[name]}`) : [],
    accounts: names.slice(0, accountsShownMax),
    accountsMore: names.length > accountsShownMax,
  };
}

/** An answer, and how far back it reaches. */
export type Answered = {
  readonly summary: IncidentSummary;
  readonly chosen: Chosen;
  /** When the first session of the answer was opened. */
  readonly first: string;
  /** Whether the answer reads the whole record, whenever its window begins. */
  readonly isEverything: boolean;
  /** What is older is in archives; null: nothing is. */
  readonly oldestOnline: string | null;
};

/**
 * Answers `selection` into `spool`. With `isListed` the files that were not read are listed, and otherwise only
 * counted.
 */
export async function findScope(
  snapshot: SharedSnapshot,
  spool: Spool,
  selection: Selection,
  isListed: boolean,
  progress: Progress,
): Promise<Answered> {
  const started = performance.now();
  const work = { snapshot, spool, totals: new Totals(), progress };
  progress('selection');
  const span = await spanOfRecord(snapshot);
  const asked = await askedOf(snapshot, selection, span);
  const { question, spellings } = asked;
  const record = await recordState(snapshot, span.oldestOnline, selection);
  const marks = marksOf(question, selection.operator === undefined ? null : spellings);
  const which = { isChosen: choosesSessions(selection), subject: kindOfSelection(selection), marks };
  const found = await findSessions(work, question, which, span);
  const actions = selection.operator === undefined ? 0 : await findActions(work, asked);
  await findActivity(snapshot, work, found, isListed);
  const logins = concernsLogins(selection) ? await countFailedLogins(snapshot, question) : undefined;
  progress('customers');
  for (const row of work.totals.rows()) spool.add('customers', row.customerId ?? '', row);
  spool.flush();
  const summary: IncidentSummary = {
    record,
    proved: null,
    ...(await totalled(work, { found, question, actions, logins })),
    hasUnread: isListed,
    tookMs: Math.round(performance.now() - started),
  };
  // What an operator touched is asked from the beginning of the record.
  const isEverything = selection.operator !== undefined;
  return { summary, chosen: found.chosen, first: found.first, isEverything, oldestOnline: span.oldestOnline };
}
