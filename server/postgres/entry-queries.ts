// Owns: the one door through which a process of ours writes an entry of the record, and the look at what became of it (decision 0036).
// Must never: write an entry that its transaction's draft does not learn, or take for written what did not come back as it was sent (decision 0042); ask for more entries, or look through more of them, than it was told.
import type { Sight } from '../domain/ledger/births.ts';
import { type EntryColumn, entryColumns, faultOf, notWritten, type SentEntry } from '../domain/ledger/written.ts';
import type { Row, Transaction } from './database.ts';
import { draftOf } from './drafts.ts';

/** All that a seal is over, of a row before or after it is sealed. `charge_batch` gives back the same text. */
const content = (of: string): string => ['row(', entryColumns.map((name) => [of, name].join('.')).join(', '), ')::text'].join('');

/**
 * Writes one entry. A column that is not named keeps the default of the database. Throws `unavailable` unless exactly one row
 * comes back that says what was sent, with a number and a time that are possible: then the transaction cannot be committed.
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
  const fault =
    row === undefined || rows.length > 1
      ? `came back as ${rows.length} rows`
      : (faultOf(row.content, sent) ?? draft?.faultOf(row.content, askedAt));
  if (row === undefined || fault !== undefined) {
    const what = fault ?? 'did not come back';
    draft?.refuse(String(sent.kind), what);
    throw notWritten(String(sent.kind), what);
  }
  draft?.add(row.content);
}

/** Which server this is, and which timeline of it: a failover, and another server, show. */
export const serverIdentity =
  "(select c.system_identifier::text from pg_control_system() c) || '/' || (select c.timeline_id::text from pg_control_checkpoint() c)";

export type EntriesSeen = Sight & {
  readonly era: number;
  /** Two operators have to release the record first. */
  readonly isFrozen: boolean;
  /** Of the server and its timeline, by the same look. */
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

/** All at one moment: which of these entries wait, and how far the record is. What is sealed is not looked at: whoever asks knows it by its own proof. */
export async function lookForWaiting(tx: Transaction, ids: readonly number[]): Promise<EntriesSeen> {
  return seenIn(await tx.query<SeenRow>(stateAndWaiting, [ids]), 0, 0);
}

/** All at one moment: what waits, and what is sealed with a number above `above`, of which `numbersMax` are looked through. */
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
