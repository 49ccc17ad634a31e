// Owns: touching one row of any table as the owner of the database does, whom no trigger and no foreign key stops; and
// putting it back as it was.
import type pg from 'pg';

export type Column = {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly isKey: boolean;
  readonly isGenerated: boolean;
  /** A trigger breaks the seal of the row when this column is written. */
  readonly isSealed: boolean;
};

/** Every column of every table, from the catalogue of the database itself. */
export const columnsQuery = `select c.relname::text as table, a.attname::text as column, format_type(a.atttypid, null) as type,
     exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey)) as "isKey",
     a.attgenerated <> '' as "isGenerated", coalesce(a.attnum = any (t.tgattr), false) as "isSealed"
   from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_trigger t on t.tgrelid = c.oid and t.tgname = 'break_seal'
   where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
   order by 1, a.attnum`;

const verbs = ['changed', 'deleted', 'inserted', 'swapped'] as const;
type Verb = (typeof verbs)[number];
export type Touch = {
  readonly table: string;
  readonly verb: Verb /** Of `changed` and `swapped`. */;
  readonly column: string | undefined;
};
export const nameOf = ({ table, verb, column }: Touch): string =>
  `${verb} ${table}${column === undefined ? '' : `.${column}`}`;

/** Which row is meant: of those that `where` accepts (as `t`), the one with this number in the order of their keys. */
export type Which = { readonly where?: string | undefined; readonly nth: number };
export type Touched = {
  readonly touch: Touch /** The row as it was, as JSON. */;
  readonly before: string;
  undo(): Promise<void>;
};

/** For partitioned tables, which have no primary key of the whole. */
const keysWithout: Readonly<Record<string, readonly string[]>> = {
  ledger_sealed: ['tree', 'position', 'id'],
  ledger_kept: ['tree', 'position', 'id'],
};
const triesMax = 5;

/** Another value of a column that its type allows. */
function othersOf({ column: name, type }: Column): readonly string[] {
  const column = `t."${name}"`;
  const byType: Readonly<Record<string, readonly string[]>> = {
    uuid: ['gen_random_uuid()'],
    bigint: [`coalesce(${column}, 0) + 1`, `greatest(coalesce(${column}, 1) - 1, 0)`],
    integer: [`coalesce(${column}, 0) + 1`, `greatest(coalesce(${column}, 1) - 1, 0)`],
    smallint: [`coalesce(${column}, 0) + 1`, `${column} - 1`],
    cap: [`coalesce(${column}, 0) + 1000000`],
    boolean: [`not coalesce(${column}, false)`],
    text: [`coalesce(${column}, '') || 'x'`, `left(${column}, -1)`, `'${'0'.repeat(32)}'`],
    account_name: [`${column} || 'x'`],
    bytea: [`set_byte(${column}, 0, get_byte(${column}, 0) # 1)`, `sha256('other')`],
    jsonb: [`coalesce(${column}, '{}') || '{"x": 1}'`],
    inet: [`'192.0.2.1'::inet`],
    'cidr[]': [`'{127.0.0.0/8}'::cidr[]`, `'{}'::cidr[]`],
    'text[]': [`array_append(${column}, 'write')`, `${column}[2:]`, `'{}'::text[]`],
    'integer[]': [`'{1,2,3,4,5,6,7}'::integer[]`, `'{1}'::integer[]`],
    date: [`${column} + 31`],
    'time without time zone': [`${column} + interval '1 minute'`],
    'timestamp with time zone': [
      `coalesce(${column}, clock_timestamp()) + interval '1 hour'`,
      `coalesce(${column}, clock_timestamp()) - interval '1 hour'`,
    ],
  };
  const derived = byType[type];
  if (derived === undefined) throw new Error(`how is a ${type} changed?`);
  return derived;
}

export class OwnersRows {
  readonly #client: pg.Client;
  #columns: readonly Column[] = [];

  constructor(client: pg.Client) {
    this.#client = client;
  }

  async columns(): Promise<readonly Column[]> {
    if (this.#columns.length === 0) this.#columns = (await this.#client.query<Column>(columnsQuery)).rows;
    return this.#columns;
  }

  /** Everything that can be done: each column changed and swapped, each row deleted, a changed copy of it inserted. */
  async touches(): Promise<readonly Touch[]> {
    const columns = await this.columns();
    const tables = [...new Set(columns.map((one) => one.table))];
    return [
      ...columns
        .filter((one) => !one.isGenerated)
        .flatMap(({ table, column }) => (['changed', 'swapped'] as const).map((verb) => ({ table, verb, column }))),
      ...tables.flatMap((table) =>
        (['deleted', 'inserted'] as const).map((verb) => ({ table, verb, column: undefined })),
      ),
    ];
  }

  /** In one transaction, in which no trigger fires; again when the server undid it because of somebody else's lock. */
  async asOwner<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      await this.#client.query('begin');
      try {
        await this.#client.query("set local session_replication_role = replica; set local lock_timeout = '20s'");
        const done = await work(this.#client);
        await this.#client.query('commit');
        return done;
      } catch (error) {
        await this.#client.query('rollback').catch(() => {});
        if ((error as { code?: string }).code !== '40P01' || tries === triesMax) throw error;
      }
    }
  }

  /**
   * undefined: there is no such row, or the table's own constraints allow no other value. `before`: what is done first
   * in the same transaction.
   */
  async touch(
    touch: Touch,
    which: Which,
    before: (client: pg.Client) => Promise<unknown> = async () => {},
  ): Promise<Touched | undefined> {
    const columns = (await this.columns()).filter((one) => one.table === touch.table);
    const keys = keysWithout[touch.table] ?? columns.filter((one) => one.isKey).map((one) => one.column);
    const written = columns.filter((one) => !one.isGenerated);
    return this.asOwner(async (client) => {
      await before(client);
      const order = keys.map((key) => `t."${key}"`).join(', ');
      const where = which.where === undefined ? '' : `where ${which.where}`;
      const { rows } = await client.query<{ at: string; part: string; row: string; keys: string }>(
        `select ctid::text as at, tableoid::text as part, to_jsonb(t)::text as row from ${touch.table} t ${where} order by ${order}
         offset (select $1::bigint % greatest(count(*), 1) from ${touch.table} t ${where}) limit 2`,
        [which.nth],
      );
      const [one, other] = rows;
      if (one === undefined) return undefined;
      const isIt = (row: { at: string; part: string }): string => `t.ctid = '${row.at}' and t.tableoid = ${row.part}`;
      const attempt = async (statement: string): Promise<string | undefined> => {
        await client.query('savepoint attempt');
        try {
          const { rows: done } = await client.query<{ row: string }>(statement);
          return done[0]?.row;
        } catch (error) {
          if (!/^(?:22|23|2F|P0|428)/.test((error as { code?: string }).code ?? '')) throw error;
          await client.query('rollback to savepoint attempt');
          return undefined;
        }
      };
      /** The row with the keys of this row in JSON. */
      const named = (row: string): string =>
        keys
          .map((key) => `t."${key}" = (jsonb_populate_record(null::${touch.table}, ${quoted(row)})). "${key}"`)
          .join(' and ');
      const names = written.map((column) => `"${column.column}"`).join(', ');
      const putBack = (row: string): string =>
        `insert into ${touch.table} (${names}) overriding system value select ${names} from jsonb_populate_record(null::${touch.table}, ${quoted(row)})`;
      const undoing = (...statements: readonly string[]): Touched => ({
        touch,
        before: one.row,
        undo: () =>
          this.asOwner(async (again) => {
            for (const statement of statements) await again.query(statement);
          }),
      });
      switch (touch.verb) {
        case 'deleted': {
          await client.query(`delete from ${touch.table} t where ${isIt(one)}`);
          return undoing(`${putBack(one.row)} on conflict do nothing`);
        }
        case 'inserted': {
          // A copy under a key of its own; where a key has several columns, each of them in turn.
          for (const key of columns.filter((column) => keys.includes(column.column)))
            for (const other of othersOf(key)) {
              const columnsOf = written
                .map((column) => (column.column === key.column ? other : `t."${column.column}"`))
                .join(', ');
              const done = await attempt(
                `insert into ${touch.table} (${names}) overriding system value select ${columnsOf} from ${touch.table} t where ${isIt(one)} returning to_jsonb(${touch.table})::text as row`,
              );
              if (done !== undefined) return undoing(`delete from ${touch.table} t where ${named(done)}`);
            }
          return undefined;
        }
        case 'changed': {
          const column = columns.find((candidate) => candidate.column === touch.column);
          if (column === undefined) return undefined;
          const ofAnother = `(select o."${column.column}" from ${touch.table} o where o."${column.column}" is distinct from t."${column.column}" order by md5(o."${column.column}"::text) limit 1)`;
          const candidates = which.nth % 2 === 0 ? [ofAnother, ...othersOf(column)] : [...othersOf(column), ofAnother];
          for (const value of candidates) {
            const done = await attempt(
              `update ${touch.table} t set "${column.column}" = ${value} where ${isIt(one)} and ${value} is distinct from t."${column.column}" returning to_jsonb(t)::text as row`,
            );
            if (done !== undefined)
              return undoing(
                `update ${touch.table} t set "${column.column}" = (jsonb_populate_record(null::${touch.table}, ${quoted(one.row)}))."${column.column}" where ${named(done)}`,
              );
          }
          return undefined;
        }
        case 'swapped': {
          if (other === undefined || touch.column === undefined || keys.includes(touch.column)) return undefined;
          const value = (row: string): string =>
            `(jsonb_populate_record(null::${touch.table}, ${quoted(row)}))."${touch.column}"`;
          const done = await attempt(
            `with done as (update ${touch.table} t set "${touch.column}" = case when ${isIt(one)} then ${value(other.row)} else ${value(one.row)} end
               where (${isIt(one)} or ${isIt(other)}) and ${value(one.row)} is distinct from ${value(other.row)} returning 1) select count(*)::text as row from done`,
          );
          if (done !== '2') return undefined;
          return undoing(
            ...[one, other].map(
              ({ row }) => `update ${touch.table} t set "${touch.column}" = ${value(row)} where ${named(row)}`,
            ),
          );
        }
      }
    });
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
