// Owns: reading an entry from the text of its row, comparing it with what was sent to be written, and the one text by
// which two readings of an entry are compared (decision 0042).
// Must never: believe that the database stored what it was sent. Whoever owns it can make a row of other values, or
// none.

import { canonicalAddress } from '../addresses.ts';
import { CofferdamError } from '../errors.ts';
import type { PlacedEntry } from './leaf.ts';

/** The columns of an entry that are sealed, in the order in which the text of a row names them. */
export const entryColumns = [
  ...([
    'id',
    'at',
    'kind',
    'observer',
    'customer_id',
    'account_id',
    'session_id',
    'node',
    'plane',
    'handle_id',
    'version_id',
  ] as const),
  ...([
    'extent',
    'bytes',
    'public',
    'credential',
    'also_credential',
    'source',
    'source_port',
    'client',
    'operator',
    'sensitive',
  ] as const),
] as const;
export type EntryColumn = (typeof entryColumns)[number];
/** An entry as its row shows it: each value as the database writes it as text, or null. */
export type WrittenEntry = Readonly<Record<EntryColumn, string | null>>;
/** What was sent for an entry. A column that is not named was left to its default, which is null or an empty object. */
export type SentEntry = Readonly<Partial<Record<EntryColumn, string | number | null>>>;

/** All columns in one literal: an object of this shape is not laid out anew for each value. */
const blank = (): Record<EntryColumn, string | null> => ({
  id: null,
  at: null,
  kind: null,
  observer: null,
  customer_id: null,
  account_id: null,
  session_id: null,
  node: null,
  plane: null,
  handle_id: null,
  version_id: null,
  extent: null,
  bytes: null,
  public: null,
  credential: null,
  also_credential: null,
  source: null,
  source_port: null,
  client: null,
  operator: null,
  sensitive: null,
});

/** Returns the index behind the quoted value that begins at `at`; 0 when it does not end. Two quotes stand for one. */
function endOfQuoted(content: string, at: number): number {
  let quote = content.indexOf('"', at + 1);
  while (content[quote + 1] === '"') quote = content.indexOf('"', quote + 2);
  return quote + 1;
}

/** Returns a quoted value without its quoting: two quotes stand for one, and so do two backslashes. */
const unquoted = (text: string): string => text.replaceAll('""', '"').replaceAll('\\\\', '\\');

/**
 * Returns the entry that the text of a row, as `row(…)::text` makes it, stands for; undefined when the text is of
 * another shape. Every entry that is written passes here, so there is no pattern: a value ends at the next comma, the
 * last one at the last character, and only a value that needs it is quoted.
 */
export function parseEntry(content: string): WrittenEntry | undefined {
  const last = content.length - 1;
  if (content[0] !== '(' || content[last] !== ')') return undefined;
  const values = blank();
  let at = 1;
  for (let i = 0; i < entryColumns.length; i += 1) {
    const column = entryColumns[i] as EntryColumn;
    const isLast = i === entryColumns.length - 1;
    const isQuoted = content[at] === '"';
    const comma = isQuoted ? endOfQuoted(content, at) : isLast ? last : content.indexOf(',', at);
    if (isLast ? comma !== last : content[comma] !== ',') return undefined;
    const value = isQuoted ? unquoted(content.slice(at + 1, comma - 1)) : content.slice(at, comma);
    if (!isQuoted && /[(),"\\]/.test(value)) return undefined;
    values[column] = isQuoted || value !== '' ? value : null;
    at = comma + 1;
  }
  return values;
}

const instantPattern = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/;

/**
 * Returns an instant of the database, in UTC and ISO style, as microseconds since 1970; undefined when it is none of
 * this era.
 */
export function microsOf(text: string): number | undefined {
  const [, day = '', time = '', fraction = ''] = instantPattern.exec(text) ?? [];
  const micros = Date.parse(`${day}T${time}Z`) * 1000 + Number(fraction.padEnd(6, '0'));
  return Number.isSafeInteger(micros) ? micros : undefined;
}

/**
 * Returns the number of an entry among the waiting ones; undefined when it is none that the database gives honestly.
 */
export const idOfEntry = ({ id }: WrittenEntry): number | undefined =>
  /^[1-9]\d{0,14}$/.test(id ?? '') ? Number(id) : undefined;

function isSameJson(a: unknown, b: unknown): boolean {
  // Only an object is the same as what it is as an object.
  if (Object(a) !== a || Object(b) !== b) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [mine, theirs] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  const names = Object.keys(mine);
  return (
    names.length === Object.keys(theirs).length &&
    names.every((name) => Object.hasOwn(theirs, name) && isSameJson(mine[name], theirs[name]))
  );
}

function isSameObject(sent: string, written: string): boolean {
  try {
    return isSameJson(JSON.parse(sent), JSON.parse(written));
  } catch {
    return false;
  }
}

const isId = (column: EntryColumn): boolean => column.endsWith('_id');

function isSame(column: EntryColumn, sent: string | number | null | undefined, written: string | null): boolean {
  if (column === 'public' || column === 'sensitive') return isSameObject(String(sent ?? '{}'), String(written));
  if (sent == null || written === null) return (sent ?? null) === written;
  const text = String(sent).toWellFormed();
  if (column === 'source') return canonicalAddress(text) !== '' && canonicalAddress(text) === canonicalAddress(written);
  return isId(column) ? text.toLowerCase() === written : text === written;
}

/** Returns as much of a value of the database as a sentence shows, because the value may be of any length. */
const shown = (value: string | null): string => String(value).slice(0, 64);

/**
 * Returns what of a written entry is not what was sent, as the end of a sentence; undefined when it says what was sent
 * and its number and its time are possible. Whether the time is the right one is judged by the clock (births.ts).
 */
export function faultOf(written: WrittenEntry | undefined, sent: SentEntry): string | undefined {
  if (written === undefined) return 'came back in a form that no entry has';
  if (idOfEntry(written) === undefined) return `was given the number ${shown(written.id)}, which is not possible`;
  if (microsOf(written.at ?? '') === undefined) return `was given the time ${shown(written.at)}, which is not possible`;
  const other = entryColumns.find(
    (column) => column !== 'id' && column !== 'at' && !isSame(column, sent[column], written[column]),
  );
  return other === undefined ? undefined : `came back with another ${other} than was sent`;
}

/**
 * Returns the text by which readings of a written entry are compared. Undefined when the entry has no possible time.
 */
export function textOfWritten(written: WrittenEntry): string | undefined {
  const at = microsOf(written.at ?? '');
  if (at === undefined) return undefined;
  return JSON.stringify(entryColumns.map((column) => (column === 'at' ? String(at) : written[column])));
}

const textOrNull = (value: number | null): string | null => (value === null ? null : String(value));

/** Returns the same text of an entry as a sealer hashes it. */
export const textOfHashed = (e: Omit<PlacedEntry, 'tree' | 'position' | 'number'> & { readonly id: number }): string =>
  JSON.stringify([
    ...[
      String(e.id),
      String(e.at),
      e.kind,
      e.observer,
      e.customer,
      e.account,
      e.session,
      e.node,
      e.plane,
      e.handle,
      e.version,
    ],
    ...[
      textOrNull(e.extent),
      textOrNull(e.bytes),
      e.publicText,
      e.credential,
      e.alsoCredential,
      e.source,
      textOrNull(e.sourcePort),
    ],
    ...[e.client, e.operator, e.sensitiveText],
  ]);

/** The error of an effect whose entry was not written as it was sent. */
export const notWritten = (kind: string, fault: string): CofferdamError =>
  new CofferdamError('unavailable', `an entry (${kind}) ${fault}: nothing was done`);
