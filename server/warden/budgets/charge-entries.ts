// Owns: comparing the entries that a batch of charges gave back with those that its answers call for (decision 0042).
// Must never: let a grant pass whose entry did not come back, or came back with something else.
import type { AccountId, CustomerId, NodeName, Plane, VersionId } from '../../domain/ids.ts';
import {
  type EntryColumn,
  faultOf,
  parseEntry,
  type SentEntry,
  type WrittenEntry,
} from '../../domain/ledger/written.ts';
import { refuseWritten, type Watch } from '../../postgres/watched-call.ts';
import type { ChargeRequest } from './charge-queries.ts';

/**
 * Who asks and for what, as this process knows it from the session and from the handle that it opened; the entry of an
 * item must name it. `version`: the file of an extent; undefined for anything else.
 */
export type AskedBy = {
  readonly account: AccountId;
  readonly node: NodeName;
  readonly plane: Plane;
  readonly customer: CustomerId;
  readonly version: VersionId | undefined;
};
/** What of an answer decides about its entry. `bytes`: what the extent costs. */
type Answered = { readonly outcome: string; readonly bytes: number | null; readonly entry: string | null };
/** An entry that an item calls for. `isSure` false: it is written only where the database knows the session. */
type Due = { readonly sent: SentEntry; readonly isSure: boolean };

const kindOf = (item: ChargeRequest, outcome: string): string | undefined => {
  if (outcome === 'later') return undefined;
  const isGranted = outcome === 'granted' || outcome === 'repeat';
  if ('download' in item) return isGranted ? 'extent.granted' : 'extent.refused';
  if (isGranted) return undefined;
  return { in: 'upload.refused', out: 'extent.refused', list: 'list.refused' }[item.direction];
};

function dueOf(item: ChargeRequest, { outcome, bytes }: Answered): Due | undefined {
  const kind = kindOf(item, outcome);
  if (kind === undefined) return undefined;
  const ofItem =
    'download' in item
      ? { handle_id: item.download, extent: item.index }
      : { customer_id: item.customer, bytes: item.bytes };
  const shown = outcome === 'granted' ? {} : { outcome };
  const sent = { kind, observer: 'warden', session_id: item.session, public: JSON.stringify(shown), bytes, ...ofItem };
  return { sent, isSure: outcome !== 'session' && outcome !== 'missing' };
}

/** The columns that an item names in any case; the others only where this process knows them (`by`), or never. */
const always: readonly EntryColumn[] = ['kind', 'session_id', 'handle_id', 'extent'];

/**
 * Returns what was sent for an entry: what its item calls for, and of the rest what only the database knows, as it came
 * back.
 */
function completed({ sent, isSure }: Due, written: WrittenEntry, by: AskedBy | undefined): SentEntry {
  // A download that is none of the session has no customer. What is not sure was refused in any case.
  const isOfNobody = !isSure && written.customer_id === null;
  return {
    customer_id: by === undefined || isOfNobody ? written.customer_id : by.customer,
    ...sent,
    // What is refused because the version was withdrawn, or the handle is closed, names no version any more.
    version_id: !isSure && written.version_id === null ? null : (by?.version ?? written.version_id),
    account_id: by?.account ?? written.account_id,
    node: by?.node ?? written.node,
    plane: by?.plane ?? written.plane,
  };
}

const isFor = ({ sent }: Due, written: WrittenEntry): boolean =>
  always.every((column) => written[column] === (sent[column] == null ? null : String(sent[column])));

type Fault = { readonly kind: string; readonly fault: string };
/** Returns the first entry that is missing, or says something else; undefined when all are as the answers call for. */
function firstFault(
  items: readonly ChargeRequest[],
  answers: readonly Answered[],
  left: readonly WrittenEntry[],
  entryFault: (written: WrittenEntry) => string | undefined,
): Fault | undefined {
  const isTaken = left.map(() => false);
  // The entries stand in the order of their items, so the next one is nearly always the right one.
  let next = 0;
  for (const [i, item] of items.entries()) {
    const answer = answers[i];
    const due = answer && dueOf(item, answer);
    if (due === undefined) continue;
    const kind = String(due.sent.kind);
    const isRight = (at: number): boolean => isTaken[at] === false && left[at] !== undefined && isFor(due, left[at]);
    const at = isRight(next) ? next : left.findIndex((_, other) => isRight(other));
    const found = left[at];
    if (found === undefined && due.isSure) return { kind, fault: 'did not come back' };
    if (found === undefined) continue;
    isTaken[at] = true;
    next = at + 1;
    const fault = faultOf(found, completed(due, found, item.by)) ?? entryFault(found);
    if (fault !== undefined) return { kind, fault };
  }
  return isTaken.includes(false)
    ? { kind: 'of a charge', fault: 'came back and belongs to nothing that was asked' }
    : undefined;
}

/**
 * Remembers the entries of a batch. Throws `unavailable` unless each answer that calls for an entry has exactly one
 * that says what was asked, and no other came back: then nothing of the batch is released, and whoever watches the
 * draft learns why.
 */
export function requireEntries(items: readonly ChargeRequest[], answers: readonly Answered[], watch: Watch): void {
  const { draft, askedAt } = watch;
  const left: WrittenEntry[] = [];
  let found: Fault | undefined;
  for (const { entry } of answers) {
    const written = entry === null ? undefined : parseEntry(entry);
    if (written !== undefined) left.push(written);
    else if (entry !== null) found = { kind: 'of a charge', fault: 'came back in a form that no entry has' };
  }
  found ??= firstFault(items, answers, left, (written) => draft?.faultOf(written, askedAt));
  if (found !== undefined) refuseWritten(found.kind, found.fault, watch);
  for (const written of left) draft?.add(written);
}
