// Owns: the one function through which a process of ours writes an entry of the record, and the queries that find out
// what became of entries (decisions 36 and 42).
// Must never: write an entry of which the transaction's draft is not told; take an entry for written that did not come
// back as it was sent; ask for more entries, or search more of them, than the caller said.
import type { Sight } from '../domain/ledger/births.ts';
import {
  type EntryColumn,
  entryColumns,
  faultOf,
  notWritten,
  parseEntry,
  type SentEntry,
} from '../domain/ledger/written.ts';
import type { Row, Transaction } from './database.ts';
import { draftOf } from './drafts.ts';

/**
 * The text of the columns that a seal covers, of a row before and after it is sealed. `charge_batch`, `put_batch`,
 * `first_read_batch` and `close_batch` return the same text.
 */
const content = (of: string): string =>
  ['row(', entryColumns.map((name) => [of, name].join('.')).join(', '), ')::text'].join('');

/**
 * Writes an entry. A column that is not named gets the default of the table. Throws `unavailable` when the draft
 * accepts no more entries, and when anything else came back than exactly one row that says what was sent, with a
 * possible id and time: then the transaction can no longer be committed.
 */
export async function insertEntry(
  tx: Transaction,
  columns: readonly EntryColumn[],
  values: readonly (string | number | null)[],
): Promise<void> {
  const names = columns.join(', ');
  const marks = columns.map((_, i) => ['$', i + 1].join('')).join(', ');
  const draft = draftOf(tx);
  draft?.requireRoom();
  const askedAt = draft?.now() ?? 0;
  const rows = await tx.query<{ content: string }>(
    `insert into ledger_fresh (${names}) values (${marks}) returning ${content('ledger_fresh')} as content`,
    values,
  );
  const sent: SentEntry = Object.fromEntries(columns.map((name, i) => [name, values[i] ?? null]));
  const [row] = rows;
  const written = row === undefined || rows.length > 1 ? undefined : parseEntry(row.content);
  const fault =
    rows.length === 1
      ? (faultOf(written, sent) ?? (written && draft?.faultOf(written, askedAt)))
      : ['came back as', rows.length, 'rows'].join(' ');
  if (written === undefined || fault !== undefined) {
    const what = fault ?? 'did not come back';
    draft?.refuse(String(sent.kind), what);
    throw notWritten(String(sent.kind), what);
  }
  draft?.add(written);
}

/**
 * An SQL expression for the identity of the server and its timeline. It differs after a failover, and on another
 * server.
 */
export const serverIdentity =
  "(select c.system_identifier::text from pg_control_system() c) || '/' || (select c.timeline_id::text from pg_control_checkpoint() c)";

type EntriesSeen = Sight & {
  readonly era: number;
  /** Whether the record is frozen, so that two operators have to release it first. */
  readonly isFrozen: boolean;
  /** The identity of the server and its timeline, from the same query. */
  readonly identity: string;
  /** The database's clock, milliseconds. */
  readonly now: number;
};

type SeenRow = Row & {
  readonly id: number | null;
  readonly content: string | null;
  readonly is_sealed: boolean;
  readonly era: number;
  readonly number: number;
  readonly frozen: boolean;
  readonly identity: string;
  readonly now: number;
};
const stateAndWaiting = `with s as materialized (select era, number, exists (select from ledger_freeze where released_at is null) as frozen, ${serverIdentity} as identity,
         (extract(epoch from clock_timestamp()) * 1000)::float8 as now from ledger_state)
     select null as id, null as content, false as is_sealed, s.era, s.number, s.frozen, s.identity, s.now from s
     union all
     select f.id, ${content('f')}, false, s.era, s.number, s.frozen, s.identity, s.now from s cross join ledger_fresh f where f.id = any ($1::bigint[])`;

function seenIn(rows: readonly SeenRow[], above: number, numbersMax: number): EntriesSeen {
  const [state] = rows;
  if (state === undefined) throw new Error('the ledger has no state');
  const { era, number, frozen: isFrozen, identity, now } = state;
  return {
    era,
    number,
    isFrozen,
    identity,
    now,
    upTo: Math.min(number, above + numbersMax),
    sightings: rows.flatMap(({ id, content: text, is_sealed: isSealed }) =>
      id === null || text === null ? [] : [{ id, content: text, isSealed }],
    ),
  };
}

/**
 * Returns which of these entries wait and how far the record is, all at one moment. Sealed entries are not searched:
 * the caller knows them by its own proof.
 */
export async function lookForWaiting(tx: Transaction, ids: readonly number[]): Promise<EntriesSeen> {
  return seenIn(await tx.query<SeenRow>(stateAndWaiting, [ids]), 0, 0);
}

/**
 * Returns where the entries that were asked for are, all at one moment: among those that wait, and among the first
 * `numbersMax` sealed ones with a number above `above`.
 */
export async function lookForEntries(
  tx: Transaction,
  asked: { readonly ids: readonly number[]; readonly above: number },
  numbersMax: number,
): Promise<EntriesSeen> {
  const rows = await tx.query<SeenRow>(
    `${stateAndWaiting}
     union all
     select e.id, ${content('e')}, true, s.era, s.number, s.frozen, s.identity, s.now from s cross join ledger_sealed e
       where e.number > $2 and e.number <= $2::bigint + $3::bigint and e.id = any ($1::bigint[])`,
    [asked.ids, asked.above, numbersMax],
  );
  return seenIn(rows, asked.above, numbersMax);
}
