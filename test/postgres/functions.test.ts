// Functions of the database are applied again when their file changed, together with their rights, and never by an
// older version.
import { appendFileSync, cpSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { migrate } from '../../server/postgres/migrate.ts';
import {
  createEmptyDatabase,
  createTestDatabase,
  migrations,
  temporaryDirectory,
  testPasswords,
} from '../support/database.ts';

const uncompared = { isCompared: false };

async function migrated(t: Test) {
  const url = await createEmptyDatabase(t);
  const directory = join(temporaryDirectory(t), 'm');
  cpSync(migrations, directory, { recursive: true });
  await migrate(url, directory, testPasswords);
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  t.teardown(() => client.end());
  const one = async (text: string): Promise<unknown> => (await client.query(`select ${text} as x`)).rows[0]?.x;
  return { url, directory, client, one, file: (name: string) => join(directory, 'functions', name) };
}

const answering = (answer: number): string =>
  `create or replace function answer() returns int language sql as $$ select ${answer} $$;\n`;

test('a file is applied when its text differs from the one that was applied last', async (t) => {
  const { url, directory, one, file } = await migrated(t);
  t.same(await migrate(url, directory, testPasswords), [], 'a second time nothing');
  writeFileSync(file('answer.sql'), answering(1));
  t.same(await migrate(url, directory, testPasswords, uncompared), ['functions/answer.sql']);
  t.equal(await one('answer()'), 1);
  t.equal(await one("has_function_privilege('cofferdam_warden', 'answer()', 'execute')"), true, 'with its rights');
  t.equal(await one("has_function_privilege('cofferdam_admin', 'answer()', 'execute')"), false, 'and no others');
  writeFileSync(file('answer.sql'), answering(2));
  t.same(await migrate(url, directory, testPasswords, uncompared), ['functions/answer.sql']);
  t.equal(await one('answer()'), 2);
});

test('an older version puts nothing back', async (t) => {
  const { url, directory, one, file } = await migrated(t);
  for (const answer of [1, 2]) {
    writeFileSync(file('answer.sql'), answering(answer));
    await migrate(url, directory, testPasswords, uncompared);
  }
  const older = {
    code: 'configuration',
    message: /functions\/answer\.sql, which replaced the one of this version: it is newer/,
  };
  writeFileSync(file('answer.sql'), answering(1));
  await t.rejects(migrate(url, directory, testPasswords, uncompared), older);
  t.equal(await one('answer()'), 2);
  writeFileSync(file('answer.sql'), `-- As before.\n${answering(1)}`);
  await migrate(url, directory, testPasswords, uncompared);
  t.equal(await one('answer()'), 1, 'twin: a newer version that goes back says so by its text');
  await t.rejects(migrate(url, migrations, testPasswords), {
    code: 'configuration',
    message: /functions\/answer\.sql, which this version does not know: it is newer/,
  });
});

test('a file that fails leaves nothing behind, and neither do the others', async (t) => {
  const { url, directory, one, file } = await migrated(t);
  writeFileSync(file('answer.sql'), answering(1));
  writeFileSync(file('broken.sql'), 'select nonsense;');
  await t.rejects(migrate(url, directory, testPasswords, uncompared), {
    code: 'configuration',
    message: /functions\/broken\.sql failed: column "nonsense" does not exist/,
  });
  t.equal(await one("to_regproc('answer')"), null);
  renameSync(file('broken.sql'), file('broken.sql.txt'));
  t.same(
    await migrate(url, directory, testPasswords, uncompared),
    ['functions/answer.sql'],
    'and the next one goes on from there',
  );
});

test('whoever writes to the tables of a trigger meanwhile goes first, and the functions come afterwards', async (t) => {
  const { url, directory, client, file } = await migrated(t);
  appendFileSync(
    file('sessions.sql'),
    `create or replace function answer() returns trigger language plpgsql as $$ begin return null; end $$;
     create or replace trigger answer after insert on node for each row execute function answer();
     create or replace trigger answer after insert on self_test for each row execute function answer();\n`,
  );
  // This transaction writes to the two tables in the other order. The server ends whichever has waited for a second
  // when it looks.
  await client.query('begin');
  await client.query("set local deadlock_timeout = '1min'");
  await client.query('lock table self_test in row exclusive mode');
  const migration = migrate(url, directory, testPasswords, uncompared);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  t.teardown(() => other.end());
  const waits = async (): Promise<boolean> =>
    (await other.query("select 1 from pg_locks where not granted and relation = 'self_test'::regclass")).rowCount === 1;
  for (const end = performance.now() + 30_000; !(await waits()) && performance.now() < end; ) await delay(20);
  await client.query('lock table node in row exclusive mode');
  await client.query('commit');
  t.same(await migration, ['functions/sessions.sql']);
});

test('every function passes the validator of its language', async (t) => {
  const database = await createTestDatabase(t);
  const functions = await database.query<{ name: string; validator: string; oid: number }>(
    `select p.oid, p.oid::regprocedure::text as name, l.lanvalidator::regproc::text as validator from pg_proc p join pg_language l on l.oid = p.prolang
     where p.pronamespace = 'public'::regnamespace order by 2`,
  );
  t.ok(functions.length > 70);
  for (const { name, validator, oid } of functions)
    await t.resolves(database.query(`select ${validator}($1)`, [oid]), name);
});

test('the database lists exactly the files of the folder as applied', async (t) => {
  const database = await createTestDatabase(t);
  const rows = await database.query<{ file: string; replaced: string[] }>(
    'select file, replaced from schema_function order by file collate "C"',
  );
  t.same(
    rows.map((row) => row.file),
    readdirSync(join(migrations, 'functions'))
      .map((name) => `functions/${name}`)
      .sort(),
  );
  t.ok(rows.every((row) => row.replaced.length === 0));
});
