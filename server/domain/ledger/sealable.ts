// Owns: the judge of entries: which of them can be sealed so that every verifier calls the sealed record good
// (docs/reference/ledger-format.md).
// Must never: let through what a verifier would find bad. What is sealed once can never be taken out, and would make
// every later verdict bad.
import { fieldFault } from './entry-kinds.ts';
import { commonTree, headsTree, type PlacedEntry } from './leaf.ts';

const hourMicros = 3_600_000_000;
const dayMicros = 24 * hourMicros;
/**
 * The greatest age in days of an entry when it is sealed. A month leaves the database at the earliest when it has been
 * over for a whole month, and the shortest month has 28 days. An entry younger than 27 days therefore belongs to a
 * month that is still there, with one day to spare. An honest entry waits a moment for its seal; one that waited for
 * weeks was written by hand, or by a gateway that stood still for weeks, and an operator must look at it.
 */
export const oldestDays = 27;
/**
 * How many days after its head the time of an entry may be. Entries that were written while the database's clock was
 * ahead, before it was corrected, are sealed as they were written.
 */
export const aheadDays = 60;
/** A verifier reads lines of at most 16 MiB. Both texts may take this much of a line, written as JSON once more. */
const textBytesMax = 15 * 1024 * 1024;

/** Every exact number of microseconds is a time that a Date can have. */
const told = (micros: number): string => new Date(micros / 1000).toISOString();

/**
 * What an entry of the kind `ledger.archived` states of its tree. `month` is such as `2026-11`, `total` counts the
 * entries of the file.
 */
export type ArchivedStatement = {
  readonly month: string;
  readonly first: number;
  readonly last: number;
  readonly entries: number;
  readonly file: string;
  readonly sha256: string;
  readonly total: number;
};
export const archivedKind = 'ledger.archived';
export const archiveDeletedKind = 'ledger.archive-deleted';

/**
 * Returns the fields of what is spelled as the database spells JSON without fractions, or undefined. What is no object
 * has no names of ours.
 */
function fieldsIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text.replaceAll(': ', ':').replaceAll(', ', ',')
      ? { ...Object(value) }
      : undefined;
  } catch {
    return undefined;
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const monthShape = /^(?:19[7-9]\d|2[01]\d\d)-(?:0[1-9]|1[0-2])$/;
const hasFields = (fields: object, names: number): boolean => Object.keys(fields).length === names;

/**
 * Returns what an entry states of an archive; undefined when it is not a statement that the pipeline of archives
 * writes.
 */
export function archivedStatementOf(
  entry: Pick<PlacedEntry, 'publicText' | 'sensitiveText' | 'position'>,
): ArchivedStatement | undefined {
  const [shown, hidden] = [fieldsIn(entry.publicText), fieldsIn(entry.sensitiveText)];
  if (shown === undefined || hidden === undefined || !hasFields(shown, 4) || !hasFields(hidden, 3)) return undefined;
  const { month, first, last, entries } = shown;
  const { file, sha256, total } = hidden;
  if (typeof month !== 'string' || !monthShape.test(month) || file !== `ledger-${month}.jsonl.gz`) return undefined;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  if (!isCount(first) || !isCount(last) || !isCount(entries) || !isCount(total)) return undefined;
  // At least one entry, and no more than there are positions: the last position is then not before the first.
  const isPossible = last < entry.position && entries >= 1 && entries <= last - first + 1 && entries <= total;
  return isPossible ? { month, first, last, entries, file, sha256, total } : undefined;
}

/**
 * Returns the month and the file of an entry about the end of an archive's retention; undefined when it has another
 * form.
 */
export function deletedArchiveOf(
  entry: Pick<PlacedEntry, 'sensitiveText'>,
): { readonly month: string; readonly file: string } | undefined {
  const { month, file } = fieldsIn(entry.sensitiveText) ?? {};
  if (typeof month !== 'string' || !monthShape.test(month) || file !== `ledger-${month}.jsonl.gz`) return undefined;
  return { month, file };
}

/**
 * Returns when a month may leave the database at the earliest: it has to be over for a month. In microseconds since
 * 1970.
 */
const leavesAt = (month: string): number => Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)) + 1, 1) * 1000;

function archiveFault(entry: PlacedEntry, headAt: number): string | undefined {
  if (entry.kind === archiveDeletedKind)
    return deletedArchiveOf(entry) !== undefined && entry.tree === commonTree
      ? undefined
      : 'it states that an archive is deleted, and not which, or not rightly';
  const statement = archivedStatementOf(entry);
  if (statement === undefined) return 'it states that entries are in an archive, and not which, or not rightly';
  return headAt >= leavesAt(statement.month)
    ? undefined
    : `it states that entries of ${statement.month} are in an archive, and that month may not leave yet`;
}

function timeFault(at: number, headAt: number): string | undefined {
  if (at < headAt - oldestDays * dayMicros)
    return `its time, ${told(at)}, is more than ${oldestDays} days before now: its month may be in an archive`;
  if (at > headAt + aheadDays * dayMicros) return `its time, ${told(at)}, is more than ${aheadDays} days after now`;
  return undefined;
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const isId = (value: string | null): boolean => value === null || uuid.test(value);
const isNumber = (value: unknown): boolean => value === null || Number.isSafeInteger(value);

const encoder = new TextEncoder();
const lineBytes = (text: string): number => encoder.encode(JSON.stringify(text)).length;
/** Returns whether both texts together are too long for a line. No character takes more than seven bytes in a line, so
 * only long texts need to be measured. */
const isTooLong = ({ publicText, sensitiveText }: PlacedEntry): boolean =>
  (publicText.length + sensitiveText.length) * 7 > textBytesMax &&
  lineBytes(publicText) + lineBytes(sensitiveText) > textBytesMax;

function formFault(e: PlacedEntry): string | undefined {
  if (![e.position, e.number, e.at].every(Number.isSafeInteger) || ![e.extent, e.bytes, e.sourcePort].every(isNumber))
    return 'a number in it is not exact';
  // The tree has the name of the customer, or is the common one.
  if (![e.customer, e.account, e.session, e.handle, e.version].every(isId)) return 'an id in it is none';
  if (isTooLong(e)) return 'it is too long to be read again';
  if (!e.publicText.startsWith('{') || !e.sensitiveText.startsWith('{')) return 'its fields are not an object';
  return undefined;
}

/**
 * Returns why an entry cannot be sealed at this position with a head of this time (microseconds since 1970), as a
 * sentence; undefined when it can. An entry of an unknown kind can be sealed: another process may be newer than this
 * one.
 */
export function sealingFault(entry: PlacedEntry, headAt: number): string | undefined {
  const { tree, customer, kind } = entry;
  if (tree === headsTree || customer === headsTree) return 'its customer has the name of the heads log';
  if (customer === commonTree) return 'its customer has the name of the common tree';
  if (tree !== (customer ?? commonTree)) return 'it stands in the tree of another customer';
  const fault = formFault(entry) ?? timeFault(entry.at, headAt);
  if (fault !== undefined) return fault;
  return kind === archivedKind || kind === archiveDeletedKind ? archiveFault(entry, headAt) : fieldFault(entry);
}
