// Months leave the database for an archive, and still verify; what is not in an archive does not leave.
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';
import { archivesToDelete, monthsToArchive } from '../../server/warden/ledger/archive-queries.ts';
import { sealRound } from '../../server/warden/ledger/seal.ts';
import { parseVerifierKey, verifyRecord } from '../../verifier/index.js';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';

test('a month in an archive verifies with it, by block without it, and not when it was changed', async (t) => {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const witness = join(directory, 'witness');
  mkdirSync(witness);
  const seal = async (): Promise<void> => {
    for (let isFull = true; isFull; ) {
      const round = await database.withSystem((tx) => sealRound(tx, { signer, origin }, false));
      if (round !== undefined)
        appendFileSync(join(witness, `checkpoints-${round.checkpoint.time.slice(0, 10)}.jsonl`), `${JSON.stringify(round.note)}\n`);
      isFull = round?.isFull === true;
    }
  };
  // Two customers and what belongs to none; 700 entries four months ago, some of now.
  await sql.query(
    `insert into ledger_fresh (at, kind, observer, customer_id) select clock_timestamp() - interval '4 months' + i * interval '1 second', 'file.published', 'warden',
       case i % 3 when 0 then null when 1 then '11111111-1111-4111-8111-111111111111'::uuid else '22222222-2222-4222-8222-222222222222'::uuid end from generate_series(1, 1500) i`,
  );
  await seal();
  await sql.query("insert into ledger_fresh (kind, observer) select 'file.published', 'warden' from generate_series(1, 300)");
  await seal();
  const siem = { name: 'siem', format: 'cef', destination: { transport: 'unix', path: '/nowhere' } } as const;
  const config = { archiveDirectory: join(directory, 'archive'), onlineMonths: 2, retentionMonths: 60, forwards: [siem] };
  const log = createLogger({ log: { level: 'error', pretty: false } } as Config, 'warden');
  const verify = async (archive?: string) => {
    const lines = (await sql.query<{ line: string }>('select line from ledger_dump order by part, tree, position')).map((row) => row.line);
    const dump = join(directory, 'dump.jsonl');
    writeFileSync(dump, `${lines.join('\n')}\n`);
    return verifyRecord({
      keys: [parseVerifierKey(signer.verifierKey)],
      witnesses: [witness],
      archive,
      maxAgeSeconds: 600,
      dump,
      now: Date.now(),
    });
  };
  t.match(await verify(), { ok: true, entries: 1800, archived: 0 });
  await t.rejects(
    sql.query("select ledger_drop_month((date_trunc('month', clock_timestamp() - interval '4 months'))::date)"),
    /not in an archive/,
  );

  const monthsOnline = async (): Promise<number> =>
    (await sql.query("select 1 from pg_inherits where inhparent = 'ledger_sealed'::regclass")).length;
  await sql.query("insert into ledger_forward (name, number, sent) values ('siem', 1400, 1500), ('of another time', 0, 0)");
  await archiveDue({ config, database, log });
  t.equal(await monthsOnline(), 2, 'it stays while a receiver does not have all of it');
  await archiveDue({ config: { ...config, retentionMonths: 2 }, database, log });
  await archiveDue({ config: { ...config, retentionMonths: 2 }, database, log });
  t.equal(readdirSync(config.archiveDirectory).length, 1, 'and so does its archive, whatever its retention');
  await sql.query("update ledger_forward set number = 1500 where name = 'siem'");

  await archiveDue({ config, database, log });
  await seal();
  const files = readdirSync(config.archiveDirectory);
  t.match(files, [/^ledger-\d{4}-\d\d\.jsonl\.gz$/]);
  t.equal(await monthsOnline(), 1, 'the month has left the database');
  const file = join(config.archiveDirectory, files[0] ?? '');
  t.equal(gunzipSync(readFileSync(file)).toString('utf8').split('\n').length, 1501);
  t.same((await verify(config.archiveDirectory)).findings, []);
  t.match(await verify(config.archiveDirectory), { ok: true, entries: 1801, archived: 0 }, 'with the archive every entry is looked at');
  const byBlock = await verify();
  t.match({ entries: byBlock.entries, archived: byBlock.archived }, { archived: 1500 }, 'without it, whole blocks vouch for their entries');
  t.equal((await sql.query("select 1 from ledger where kind = 'ledger.archived'")).length, 1, 'on the record');

  const good = readFileSync(file);
  const text = gunzipSync(good).toString('utf8');
  writeFileSync(file, gzipSync(text.replace('"file.published"', '"file.destroyed"')));
  const changed = await verify(config.archiveDirectory);
  t.equal(changed.ok, false, 'an archive that was changed does not verify');
  t.match(changed.firstRow, { what: 'changed', position: 0 });
  writeFileSync(file, good);

  await archiveDue({ config: { ...config, retentionMonths: 2 }, database, log });
  t.notOk(existsSync(file), 'after its retention the file goes');
  t.equal((await sql.query('select 1 from ledger_archive where deleted_at is not null')).length, 1);
  await archiveDue({ config, database, log });
  t.equal((await sql.query("select 1 from ledger where kind = 'ledger.archive-deleted'")).length, 1, 'once');
});

test('a full disk ends the archiving of a month, which stays where it is and is archived when there is room', async (t) => {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a12');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  // Two pages of lines that no packing makes small: more than is kept in memory on the way to the file.
  await sql.query(
    `insert into ledger_fresh (at, kind, observer, sensitive) select clock_timestamp() - interval '4 months' + i * interval '1 second', 'file.published', 'warden',
       jsonb_build_object('by', encode(sha256(i::text::bytea), 'hex')) from generate_series(1, 6000) i`,
  );
  for (let isFull = true; isFull; ) isFull = (await database.withSystem((tx) => sealRound(tx, { signer, origin }, false)))?.isFull === true;
  const archiveDirectory = join(directory, 'archive');
  mkdirSync(archiveDirectory);
  const [row] = await sql.query<{ month: string }>("select to_char(clock_timestamp() - interval '4 months', 'YYYY-MM') as month");
  const draft = join(archiveDirectory, `ledger-${row?.month}.jsonl.gz.draft`);
  // Every write to this device says that there is no space.
  symlinkSync('/dev/full', draft);
  const options = {
    config: { archiveDirectory, onlineMonths: 2, retentionMonths: 60, forwards: [] },
    database,
    log: createLogger({ log: { level: 'error', pretty: false } } as Config, 'warden'),
  };
  const count = async (): Promise<number> =>
    Number((await sql.query<{ n: string }>("select count(*) as n from ledger_sealed where kind = 'file.published'"))[0]?.n);
  await t.rejects(archiveDue(options), { code: 'ENOSPC' }, 'it says why, and does not wait for room');
  t.equal(await count(), 6000, 'nothing left the database');
  t.same(readdirSync(archiveDirectory), [`ledger-${row?.month}.jsonl.gz.draft`], 'no file counts');
  rmSync(draft);
  await archiveDue(options);
  t.equal(await count(), 0, 'with room it is archived');
});

test('a month leaves the database, and an archive its directory, when so many months have begun since, and not before', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  // The first and the last moment of each of the last months, by the clock of the database.
  for (const edge of ["interval '0'", "interval '1 month' - interval '1 microsecond'"])
    await sql.query(
      `insert into ledger_fresh (at, kind, observer) select least((date_trunc('month', clock_timestamp() at time zone 'utc') - i * interval '1 month' + ${edge}) at time zone 'utc', clock_timestamp()),
         'file.published', 'warden' from generate_series(0, 4) i`,
    );
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a13');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  await database.withSystem((tx) => sealRound(tx, { signer, origin }, false));
  const ago = async (months: readonly string[]): Promise<readonly number[]> =>
    (
      await sql.query<{ n: number }>(
        "select (extract(year from a) * 12 + extract(month from a))::int as n from unnest($1::date[]) m cross join lateral age(date_trunc('month', clock_timestamp() at time zone 'utc'), m) a order by m",
        [months],
      )
    ).map((row) => row.n);
  for (const online of [2, 3, 4])
    t.same(
      await ago(await database.withSystem((tx) => monthsToArchive(tx, online))),
      [4, 3, 2, 1].filter((months) => months >= online),
      `${online} months stay in the database, the current one among them`,
    );
  const archiveDirectory = join(temporaryDirectory(t), 'archive');
  const log = createLogger({ log: { level: 'error', pretty: false } } as Config, 'warden');
  await archiveDue({ config: { archiveDirectory, onlineMonths: 2, retentionMonths: 60, forwards: [] }, database, log });
  t.equal(readdirSync(archiveDirectory).length, 3);
  for (const retention of [2, 3, 4])
    t.same(
      await ago((await database.withSystem((tx) => archivesToDelete(tx, retention))).map((one) => one.month)),
      [4, 3, 2].filter((months) => months >= retention),
      `${retention} months are kept, the current one among them`,
    );
});
