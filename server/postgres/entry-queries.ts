// Owns: the one function through which a process of ours writes an entry of the record, and the query that finds out
// what became of entries (decision 36).
// Must never: write an entry of which the transaction's draft is not told; ask for more entries, or search more of
// them, than the caller said.
import type { Sight } from '../domain/ledger/births.ts';
import type { Row, Transaction } from './database.ts';
import { draftOf } from './drafts.ts';

/** The columns that a seal covers, of a row before and after it is sealed. `charge_batch` returns the same text. */
const sealed = [
  ...['id', 'at', 'kind', 'observer', 'customer_id', 'account_id', 'session_id', 'node', 'plane', 'handle_id', 'version_id', 'extent'],
  ...['bytes', 'public', 'credential', 'also_credential', 'source', 'source_port', 'client', 'operator', 'sensitive'],
];
const content = (of: string): string => ['row(', sealed.map((name) => [of, name].join('.')).join(', '), ')::text'].join('');

/**
 * Writes an entry. `columns` are names from our code; a column that is not named gets the default of the table. Throws
 * `unavailable` when the draft accepts no more entries.
 */
export async function insertEntry(tx: Transaction, columns: readonly string[], values: readonly unknown[]): Promise<void> {
  const names = columns.join(', ');
  const marks = columns.map((_, i) => ['$', i + 1].join('')).join(', ');
  const draft = draftOf(tx);
  draft?.requireRoom();
  const rows = await tx.query<{ content: string }>(
    `insert into ledger_fresh (${names}) values (${marks}) returning ${content('ledger_fresh')} as content`,
    values,
  );
  for (const row of rows) draft?.add(row.content);
}

/** An SQL expression for the identity of the server and its timeline. It differs after a failover, and on another server. */
export const serverIdentity =
  "(select c.system_identifier::text from pg_control_system() c) || '/' || (select c.timeline_id::text from pg_control_checkpoint() c)";

export type EntriesSeen = Sight & {
  readonly era: number;
  /** Whether the record is frozen, so that two operators have to release it first. */
  readonly isFrozen: boolean;
  /** The identity of the server and its timeline, from the same query. */
  readonly identity: string;
};

/**
 * Returns where the entries that were asked for are, all at one moment: among those that wait, and among the first
 * `numbersMax` sealed ones with a number above `above`.
 */
export async function lookForEntries(
  tx: Transaction,
  asked: { readonly ids: readonly number[]; readonly above: number },
  numbersMax: number,
): Promise<EntriesSeen> {
  const rows = await tx.query<
    Row & { id: number | null; content: string | null; is_sealed: boolean; era: number; number: number; frozen: boolean; identity: string }
  >(
    `with s as materialized (select era, number, exists (select from ledger_freeze where released_at is null) as frozen, ${serverIdentity} as identity from ledger_state)
     select null as id, null as content, false as is_sealed, s.era, s.number, s.frozen, s.identity from s
     union all
     select f.id, ${content('f')}, false, s.era, s.number, s.frozen, s.identity from s cross join ledger_fresh f where f.id = any ($1::bigint[])
     union all
     select e.id, ${content('e')}, true, s.era, s.number, s.frozen, s.identity from s cross join ledger_sealed e
       where e.number > $2 and e.number <= $2::bigint + $3::bigint and e.id = any ($1::bigint[])`,
    [asked.ids, asked.above, numbersMax],
  );
  const [state] = rows;
  if (state === undefined) throw new Error('the ledger has no state');
  const { era, number, frozen: isFrozen, identity } = state;
  return {
    era,
    number,
    isFrozen,
    identity,
    upTo: Math.min(number, asked.above + numbersMax),
    sightings: rows.flatMap(({ id, content: text, is_sealed: isSealed }) =>
      id === null || text === null ? [] : [{ id, content: text, isSealed }],
    ),
  };
}
