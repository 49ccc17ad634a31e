// What a transaction finds behind a lock for which it waited, and for which locks it does not wait at all.
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type FileId, idOf } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { findRetired, isUnproved, takeRetired } from '../../server/warden/credentials/credential-queries.ts';
import { lockUpload } from '../../server/warden/transfers/upload-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import type { TestDatabase } from '../support/database.ts';
import { addContent, addFile, addVersion } from '../support/rows.ts';

async function another(t: Test, sql: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: sql.migrateUrl });
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

test('an upload whose file is renamed while an extent of it waits continues under its new name', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1024);
  await bank.addFile(1);
  const [file] = bank.files;
  const { session, account } = await bank.addReader();
  const [upload, name] = [randomUUID(), `renamed-${randomBytes(4).toString('hex')}`];
  const [from] = await sql.query<{ id: FileId }>('select file_id as id from version where id = $1', [file?.version]);
  if (from === undefined) throw new Error('the version has no file');
  const customer = bank.id;
  const to = await addFile(sql, { customer, folder: bank.folder, name });
  const content = await addContent(sql, { customer });
  const held = { customer, file: from.id, content, state: 'partial', account, session, upload } as const;
  const version = await addVersion(sql, held);
  const renaming = await another(t, sql);
  await renaming.query('begin');
  await renaming.query('update version set file_id = $2, number = 1 where id = $1', [version, to]);
  const locked = warden.withSystem((tx) => lockUpload(tx, upload, session));
  const isWaiting = async (): Promise<boolean> =>
    (await sql.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
      .length > 0;
  while (!(await isWaiting())) await new Promise((resolve) => setTimeout(resolve, 10));
  await renaming.query('commit');
  t.match(await locked, { version, file: to, fileName: name });
  t.equal(
    await warden.withSystem((tx) => lockUpload(tx, upload, idOf(randomUUID()))),
    undefined,
    "the twin: another session's",
  );
});

test('ending a key waits for no login that holds its row: that login may wait for budgets that the transaction has', async (t) => {
  const given = await startBankDatabase(t);
  const { sql } = given;
  const bank = await Bank.create(given, 'acme', 1024);
  const { credential } = await bank.addReader();
  const login = await another(t, sql);
  await login.query('begin');
  await login.query('select 1 from credential where id = $1 for key share', [credential]);
  const place = { release: () => {}, lockMs: 2000 };
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    admission: async () => place,
  });
  t.teardown(() => database.close());
  const asked = (): Promise<boolean> => database.withSystem((tx) => isUnproved(tx, credential));
  t.equal(await asked(), true);
  await sql.query("update credential set state = 'retiring', expires_at = clock_timestamp() where id = $1", [
    credential,
  ]);
  const retired = await database.withSystem(async (tx) => takeRetired(tx, await findRetired(tx, 10)));
  t.match(retired, [{ id: credential }], 'nor does the pass that retires keys leave it out');
  await login.query('rollback; begin');
  await login.query('update credential set last_used_at = now(), proved_at = now() where id = $1', [credential]);
  await t.rejects(asked(), { code: 'unavailable' }, 'the twin: it does wait for the use that would prove the key');
});
