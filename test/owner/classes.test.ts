// Every column of every table, and every deleted or inserted row, has a class: what must follow when the owner of the
// database touches it. Whoever adds a table or a column classifies it in `classes.ts`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { type CustomerId, idOf } from '../../server/domain/ids.ts';
import { createTestDatabase } from '../support/database.ts';
import { addCustomer } from '../support/rows.ts';
import { project } from '../support/world.ts';
import { admitted, classes, classOf } from './classes.ts';
import { type Column, columnsQuery, OwnersRows } from './rows.ts';

/** What is missing from, or wrong in, a table of classes. */
function gaps(
  columns: readonly Column[],
  of: (table: string, column: string) => string | undefined,
): readonly string[] {
  return columns.flatMap((one) => {
    const named = `${one.table}.${one.column}`;
    const is = of(one.table, one.column);
    if (is === undefined) return [`${named} is in no class`];
    // A primary key needs no trigger that breaks the seal: the key is a part of the seal, so a row with another key has
    // none. A row of the table `seal` is itself the seal.
    const mayBeSealed = one.isSealed || one.isKey || one.table === 'seal';
    if (one.isSealed && is !== 'sealed') return [`${named} is ${is}, and a seal breaks with it`];
    return is === 'sealed' && !mayBeSealed ? [`${named} is sealed, and no seal breaks with it`] : [];
  });
}

test('each column of each table has a class, and none has two', async (t) => {
  const sql = await createTestDatabase(t);
  const columns = await sql.query<Column>(columnsQuery);
  t.ok(columns.length > 500, `${columns.length} columns`);
  t.same(gaps(columns, classOf), []);
  const known = new Set(columns.map((one) => `${one.table}.${one.column}`));
  const named = Object.entries(classes).flatMap(([table, { columns: of }]) =>
    Object.values(of).flatMap((some) => some.split(' ').map((column) => `${table}.${column}`)),
  );
  t.same(
    named.filter((one) => !known.has(one)),
    [],
    'classes of what is not there',
  );
  t.same(
    named.filter((one, at) => named.indexOf(one) !== at),
    [],
    'two classes',
  );
  t.same(
    [...new Set(columns.map((one) => one.table))].filter((table) => !(table in classes)),
    [],
  );
});

test('twin: a table, or a column, without a class is named', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query('create table newcomer (id integer primary key)');
  await sql.query('alter table account add column nickname text');
  t.same(gaps(await sql.query<Column>(columnsQuery), classOf), [
    'account.nickname is in no class',
    'newcomer.id is in no class',
  ]);
});

test('what is not found is admitted in a sentence of the threat model', async (t) => {
  for (const [name, [document, sentence]] of Object.entries(admitted))
    t.ok(readFileSync(join(project, document), 'utf8').includes(sentence), `${name}: ${document} says "${sentence}"`);
});

test('a touched row is put back as it was, whatever was done to it', async (t) => {
  const sql = await createTestDatabase(t);
  const client = new pg.Client({ connectionString: sql.migrateUrl });
  await client.connect();
  t.teardown(() => client.end());
  const id = idOf<CustomerId>('11111111-1111-4111-8111-111111111111');
  await addCustomer(sql, { id, name: 'acme' });
  await addCustomer(sql, { name: 'globex' });
  const seen = (): Promise<readonly unknown[]> =>
    sql.query('select to_jsonb(c)::text as row from customer c order by id');
  const before = await seen();
  const rows = new OwnersRows(client);
  for (const touch of (await rows.touches()).filter((one) => one.table === 'customer'))
    for (const nth of [0, 1]) {
      const touched = await rows.touch(touch, { nth });
      if (touched === undefined) continue;
      t.not(JSON.stringify(await seen()), JSON.stringify(before), `${touch.verb} ${touch.column ?? ''}: is touched`);
      await touched.undo();
      t.same(await seen(), before, 'as it was');
    }
});
