// Owns: everything that happens to the rows of a database between two moments of one transaction, in words that are the
// same in every run: ids by the names that a test gave them, instants by their distance from now.
// Must never: leave out a table that the warden may read, except those of the record, of seals and of commands.
import type { Transaction } from '../../server/postgres/database.ts';

type Row = Readonly<Record<string, unknown>>;
type Table = { readonly name: string; readonly key: readonly string[] };
type Snapshot = ReadonlyMap<string, ReadonlyMap<string, Row>>;
/** The names of ids, of fingerprints, and of whatever else is different in every run. */
export type Names = Map<string, string>;

const hourMs = 3_600_000;
/** The defaults of a test are wide (`bank.ts`). */
const narrowBelow = { rate: 2 ** 20, rest: 1000 };
/**
 * Seals are compared by whoever seals, and a change is written by the test itself. The entries that a transaction
 * writes are read from `ledger_fresh`.
 */
const others = ['seal', 'change', 'command', 'stranger_login'];

/** The tables of which `snapshotOf` reads the rows, with the columns of their primary keys. */
export async function tablesOf(tx: Transaction): Promise<readonly Table[]> {
  return tx.query<Table>(
    `select c.relname::text as name, coalesce((select array_agg(a.attname::text order by a.attnum) from pg_index i
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) where i.indrelid = c.oid and i.indisprimary), '{}') as key
     from pg_class c where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
       and has_table_privilege(c.oid, 'select') and (c.relname = 'ledger_fresh' or c.relname not like 'ledger%') and c.relname <> all ($1) order by 1`,
    [others],
  );
}

/** Reads all rows of these tables. */
export async function snapshotOf(tx: Transaction, tables: readonly Table[]): Promise<Snapshot> {
  const text = tables
    .map(({ name }) => `select '${name}' as name, to_jsonb(x) as row from ${name} x`)
    .join(' union all ');
  const rows = await tx.query<{ name: string; row: Row }>(text);
  const keys = new Map(tables.map((table) => [table.name, table.key]));
  const all = new Map(tables.map(({ name }) => [name, new Map<string, Row>()]));
  for (const { name, row } of rows) {
    const key = keys.get(name) ?? [];
    const id = name === 'budget' ? budgetOf(row) : (key.length === 0 ? Object.keys(row) : key).map((one) => row[one]);
    all.get(name)?.set([id].flat().join('/'), row);
  }
  return all;
}

/** The scope and the direction of a budget, of which there is one. */
const budgetOf = (row: Row): string =>
  [row.credential_id, row.account_id, row.customer_id, row.plane, row.direction].filter((one) => one != null).join('/');

/** What is another value in every run, and what it is called when there is one. Empty words leave it out. */
const varying: Readonly<Record<string, string>> = {
  ended_epoch: 'next',
  wrapped_by: 'key',
  hour: '',
  first_at: '',
  last_at: '',
};
const anyId = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const anyDigest = /\b[0-9a-f]{64}\b/g;
const anyInstant = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g;

/** How far an instant is from now: `now`, or hours or days; `epoch` for the end of what was ended for good. */
function distance(instant: string): string {
  if (Date.parse(instant) === 0) return 'epoch';
  const hours = Math.round((Date.parse(instant) - Date.now()) / hourMs);
  if (hours === 0) return 'now';
  const sign = hours > 0 ? '+' : '';
  return hours % 24 === 0 ? `${sign}${hours / 24}d` : `${sign}${hours}h`;
}

/** The same value in words that are the same in every run. An id that has no name is `?`. */
export function inWords<T>(value: T, names: Names): T {
  let text = JSON.stringify(value ?? null)
    .replace(/\\\\x[0-9a-f]{16,}/g, 'bytes')
    .replace(/\$argon2id\$[^"]+/g, 'argon2id')
    .replace(anyId, (id) => names.get(id) ?? '?')
    .replace(anyInstant, distance)
    .replace(/"subject":"\d+"/g, '"subject":"a budget"');
  for (const [from, to] of names) if (!from.match(anyId)) text = text.replaceAll(from, to);
  return JSON.parse(text.replace(anyDigest, 'digest')) as T;
}

/** A column that is empty says nothing. */
const says = (value: unknown): boolean =>
  value !== null && value !== false && value !== 0 && !(typeof value === 'object' && Object.keys(value).length === 0);
const filled = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      !says(value) || varying[name] === '' ? [] : [[name, varying[name] ?? value]],
    ),
  );

/** A new budget that has the default of its scope is named; of any other one it is said where it is narrower. */
function narrowed(id: string, row: Row): unknown {
  const limits = Object.entries(row).filter(
    ([name, value]) =>
      (/^(?:cap_|rate$|sessions_max$)/.test(name) &&
        value !== null &&
        Number(value) < narrowBelow[name === 'rate' ? 'rate' : 'rest']) ||
      (name === 'consequence' && value !== 'refuse'),
  );
  const narrower = limits.filter(
    ([name, value]) => !(row.direction === 'list' && name.endsWith('bytes') && value === 0),
  );
  return narrower.length === 0 ? id : { of: id, ...Object.fromEntries(narrower) };
}

/** What has nothing to say is left out. */
export type Effects = {
  /** Of each row that was changed: the new values of the columns that were. */
  readonly changed?: Readonly<Record<string, Row>>;
  /** Of each table: the rows that were added, without the columns that are empty. */
  readonly added?: Readonly<Record<string, readonly unknown[]>>;
  readonly gone?: readonly string[];
  /** The entries of the record, without those that seal rows again, sorted. */
  readonly entries?: readonly Row[];
  /**
   * The sessions that were ended, by the reasons that their client and the record read; each has its own entry with its
   * account, customer, node and plane. They are in neither of the lists above.
   */
  readonly ended?: Readonly<Record<string, readonly string[]>>;
  /** The read handles that were closed now. They are in no list above. */
  readonly closed?: readonly string[];
};

function entriesOf(rows: readonly Row[], names: Names): readonly Row[] {
  return rows
    .filter((row) => row.kind !== 'rows.resealed')
    .map(({ id: _id, at: _at, ...row }) => {
      const { observer, operator, ...rest } = inWords(filled(row), names);
      const { operator: whose, by: acting = whose } = (rest.sensitive ?? {}) as Row;
      return {
        ...rest,
        ...(observer === 'warden' ? {} : { observer }),
        // Whose entry it is follows from what it says.
        ...(operator === (acting === 'both' ? 'alice bob' : acting) ? {} : { operator }),
      };
    })
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** The entry of a session's end, as it has to be. */
const entryOfEnd = (session: string, reason: unknown): Row => {
  const account = session.slice(0, session.indexOf('@'));
  const customer = account === 'processor' ? {} : { customer_id: account.slice(0, account.lastIndexOf('-')) };
  return {
    kind: 'session.ended',
    node: 'n',
    plane: account === 'processor' ? 'internal' : 'partner',
    public: { reason },
    account_id: account,
    session_id: session,
    ...customer,
  };
};
const sameRow = (a: Row, b: Row): boolean =>
  JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());

/** Says of the sessions that ended, and of the handles that were closed, only what differs between them. */
function shortened(changed: Record<string, Row>, entries: Row[]): Pick<Effects, 'ended' | 'closed'> {
  const ended: Record<string, string[]> = {};
  const closed: string[] = [];
  for (const [name, columns] of Object.entries(changed)) {
    if (name.startsWith('download ') && sameRow(columns, { closed_at: 'now' })) {
      closed.push(name.slice('download '.length));
      delete changed[name];
    }
    const { end_kind, end_reason } = columns;
    const whole = { state: 'ended', ended_at: 'now', ended_epoch: 'next', end_kind, end_reason };
    if (!name.startsWith('session ') || !sameRow(columns, whole)) continue;
    const session = name.slice('session '.length);
    const at = entries.findIndex((entry) => sameRow(entry, entryOfEnd(session, end_reason)));
    if (at < 0) continue;
    entries.splice(at, 1);
    delete changed[name];
    const why = `${end_kind}: ${end_reason}`;
    ended[why] = [...(ended[why] ?? []), session].sort();
  }
  return { ended, closed: closed.sort() };
}

/** What is different in the second snapshot. */
export function effectsOf(before: Snapshot, after: Snapshot, names: Names): Effects {
  const changed: Record<string, Row> = {};
  const added: Record<string, unknown[]> = {};
  const gone: string[] = [];
  for (const [table, rows] of after) {
    const was = before.get(table) ?? new Map<string, Row>();
    for (const [id, row] of rows) {
      const old = was.get(id);
      if (old === undefined) {
        if (table === 'ledger_fresh') continue;
        added[table] = [...(added[table] ?? []), inWords(table === 'budget' ? narrowed(id, row) : filled(row), names)];
        continue;
      }
      const columns = Object.keys(row).filter((one) => JSON.stringify(row[one]) !== JSON.stringify(old[one]));
      if (columns.length > 0)
        changed[`${table} ${inWords(id, names)}`] = inWords(
          Object.fromEntries(columns.map((one) => [one, varying[one] ?? row[one]])),
          names,
        );
    }
    for (const id of was.keys()) if (!rows.has(id)) gone.push(`${table} ${inWords(id, names)}`);
  }
  for (const rows of Object.values(added)) rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const old = before.get('ledger_fresh') ?? new Map<string, Row>();
  const written = [...(after.get('ledger_fresh') ?? [])].flatMap(([id, row]) => (old.has(id) ? [] : [row]));
  const entries = [...entriesOf(written, names)];
  const short = shortened(changed, entries);
  const all = { changed, added, gone: gone.sort(), entries, ...short };
  return Object.fromEntries(Object.entries(all).filter(([, part]) => Object.keys(part).length > 0));
}
