// Owns: finding what a selection did, step by step in one snapshot of the database, into a spool.
// Must never: say less than the record does. A step that fails fails the whole answer.
import { CofferdamError } from '../../domain/errors.ts';
import { certaintyOf } from '../../domain/incident/certainty.ts';
import { choosesSessions, concernsLogins, type Selection } from '../../domain/incident/selection.ts';
import type { SharedSnapshot, Snapshot } from '../../postgres/snapshot.ts';
import type { IncidentPart, IncidentRow, IncidentSummary, RecordState } from '../../rpc/operator-incident.ts';
import { ledgerStatus } from '../ledger/status-queries.ts';
import { type CustomersOf, eachAction, eachDeposit, eachFile, eachNames, type FoundFile, firstHalf } from './scope-queries.ts';
import {
  accountNames,
  type Chosen,
  clientsLike,
  countFailedLogins,
  eachOlderSession,
  eachSession,
  type FoundSession,
  findAccountId,
  goBySessions,
  isKnownNode,
  isKnownOperator,
  type SessionQuestion,
  sessionsOnNode,
  spanOfRecord,
  spellingsOf,
  touchedBy,
} from './selection-queries.ts';
import type { Spool } from './spool.ts';
import { Totals } from './totals.ts';
import { eachUnread, type Reach, readableFolders, totalUnread } from './unread-queries.ts';

/** More sessions than anybody will look through; their ids are held in memory. */
const sessionsMax = 1_000_000;
const accountsShownMax = 500;

export type Progress = (step: IncidentPart | 'selection') => void;
type Work = { readonly snapshot: Snapshot; readonly spool: Spool; readonly totals: Totals; readonly progress: Progress };

/** The state of the record itself: an answer is as good as what it is read from. */
async function recordState(snapshot: Snapshot, oldestOnline: string | null, since: string | null): Promise<RecordState> {
  const { checkpoint, checkpointAt, unsealed, unwitnessedMs, freeze } = await ledgerStatus(snapshot, []);
  const isWhole = oldestOnline === null || (since !== null && since >= oldestOnline);
  return { checkpoint, checkpointAt, unsealed, unwitnessedMs, frozen: freeze?.text ?? null, completeFrom: isWhole ? null : oldestOnline };
}

type Found = {
  readonly chosen: Chosen;
  readonly accounts: ReadonlySet<string>;
  /** From the first of the sessions until the last one's end. */
  readonly from: string;
  readonly until: string;
};

async function findSessions(
  { snapshot, spool, progress }: Work,
  question: SessionQuestion,
  isChosen: boolean,
  span: { readonly now: string; readonly oldestOnline: string | null },
): Promise<Found> {
  progress('sessions');
  const ids: string[] = [];
  const accounts = new Set<string>();
  let [first, last] = [span.now, ''];
  let before = '';
  const onRow = ({ accountId, ...row }: FoundSession): void => {
    if (row.session === before) return;
    before = row.session;
    spool.add('sessions', '', row);
    if (isChosen) ids.push(row.session);
    if (ids.length > sessionsMax) throw new CofferdamError('over-limit', `more than ${sessionsMax} sessions fit: narrow the question`);
    if (accountId !== null) accounts.add(accountId);
    if (row.start !== null && row.start < first) first = row.start;
    const ended = row.end ?? span.now;
    if (ended > last) last = ended;
  };
  const { oldestOnline } = span;
  if (oldestOnline !== null && (question.since === null || question.since < oldestOnline || isChosen))
    await eachOlderSession(snapshot, question, oldestOnline, onRow);
  await eachSession(snapshot, question, onRow);
  // A session that is named counts even when nothing tells how it was opened.
  const onlyNamed =
    question.session !== null &&
    question.credential === null &&
    question.source === null &&
    question.client === null &&
    question.touched === null;
  if (onlyNamed && question.session !== null && ids.length === 0) ids.push(question.session);
  const { node, since, until, account } = question;
  const from = since !== null && since > first ? since : first;
  const end = until !== null && until < last ? until : last;
  // What is told later of this answer, a slice, ends where it was asked. A millisecond behind: `now` was cut to one.
  const asked = until ?? new Date(Date.parse(span.now) + 1).toISOString();
  return { chosen: { sessions: isChosen ? ids : null, node, since, until: asked, account }, accounts, from, until: end };
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

async function findUnread({ snapshot, spool, totals, progress }: Work, chosen: Chosen, reach: Reach, isListed: boolean): Promise<void> {
  progress('unread');
  // The catalogue is read in one go: by its indexes it would be a page here and a page there.
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

/** The steps that read many entries, two at a time; in the answer they stand in their order. */
async function findActivity(
  snapshot: SharedSnapshot,
  work: Omit<Work, 'snapshot'>,
  { chosen, accounts, from, until }: Found,
  isListed: boolean,
): Promise<void> {
  const customers = await firstHalf(snapshot);
  const folders = accounts.size === 0 ? [] : await readableFolders(snapshot, [...accounts]);
  const first = new Set(customers);
  // Whoever reads the whole record to know what was released does so once.
  const isByHalves = await goBySessions(snapshot, chosen.sessions);
  const unread = (isRest: boolean) => {
    const part = folders.filter(({ customer }) => (isByHalves && !first.has(customer)) === isRest).map(({ folder }) => folder);
    return (one: Work): Promise<void> => findUnread(one, chosen, { folders: part, from, until }, isListed);
  };
  // What takes longest begins first, and the files by turns with what is but counted: the rows of both halves at once would wait for this process.
  const steps: readonly { readonly place: number; readonly find: (work: Work) => Promise<void> }[] = [
    { place: 0, find: (one) => findFiles(one, chosen, { customers, isRest: false }) },
    { place: 4, find: unread(false) },
    { place: 1, find: (one) => findFiles(one, chosen, { customers, isRest: true }) },
    { place: 5, find: unread(true) },
    { place: 2, find: (one) => findNames(one, chosen) },
    { place: 3, find: (one) => findDeposits(one, chosen) },
  ];
  const begun: ((typeof steps)[number] & { readonly spool: Spool })[] = [];
  try {
    for (const step of steps) begun.push({ ...step, spool: work.spool.beside() });
    // One iterator for both lanes: each step is taken once.
    const waiting = begun.values();
    const lane = async (look: Snapshot): Promise<void> => {
      for (const step of waiting) await step.find({ ...work, snapshot: look, spool: step.spool });
    };
    await snapshot.beside(lane, lane);
    for (const { spool } of begun.sort((a, b) => a.place - b.place)) await work.spool.append(spool);
  } finally {
    for (const { spool } of begun) spool.close();
  }
}

/** Answers `selection` into `spool`. `isListed`: with the list of what was not read, too. */
export async function findScope(
  snapshot: SharedSnapshot,
  spool: Spool,
  selection: Selection,
  isListed: boolean,
  progress: Progress,
): Promise<{ readonly summary: IncidentSummary; readonly chosen: Chosen }> {
  const started = performance.now();
  const work = { snapshot, spool, totals: new Totals(), progress };
  progress('selection');
  const span = await spanOfRecord(snapshot);
  const { since = null, until = null, operator } = selection;
  const account = selection.account === undefined ? null : ((await findAccountId(snapshot, selection.account)) ?? null);
  if (selection.account !== undefined && account === null)
    throw new CofferdamError('not-found', `there is no account named ${selection.account}: see \`cofferctl account list\``);
  if (selection.node !== undefined && !(await isKnownNode(snapshot, selection.node)))
    throw new CofferdamError('not-found', `there is no edge named ${selection.node}: see \`cofferctl status\``);
  if (operator !== undefined && !(await isKnownOperator(snapshot, operator)))
    throw new CofferdamError('not-found', `there is no operator named ${operator}: see \`cofferctl operator list\``);
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
  const record = await recordState(snapshot, span.oldestOnline, since);
  const found = await findSessions(work, question, choosesSessions(selection), span);
  let actions = 0;
  if (operator !== undefined) {
    progress('actions');
    actions = await eachAction(snapshot, spellings, { account, since, until }, (row) => spool.add('actions', '', row));
  }
  await findActivity(snapshot, work, found, isListed);
  await goBySessions(snapshot, null);
  const logins = concernsLogins(selection) ? await countFailedLogins(snapshot, question) : undefined;
  progress('customers');
  for (const row of work.totals.rows()) spool.add('customers', row.customerId ?? '', row);
  spool.flush();
  const names = await accountNames(snapshot, [...found.accounts], accountsShownMax + 1);
  const summary: IncidentSummary = {
    record,
    totals: {
      ...work.totals.all(),
      sessions: spool.rowsOf('sessions'),
      actions,
      refusedLogins: logins?.refused ?? 0,
      partialLogins: logins?.partial ?? 0,
      refusedSessions: logins?.sessions ?? 0,
      strangerLogins: logins?.strangers ?? 0,
    },
    accounts: names.slice(0, accountsShownMax),
    accountsMore: names.length > accountsShownMax,
    hasUnread: isListed,
    tookMs: Math.round(performance.now() - started),
  };
  return { summary, chosen: found.chosen };
}
