// Months leave the database for an archive, and the record still verifies. Nothing leaves that is not in an archive and
// stated in every tree.
import { execFile, execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { monthsMark } from '../../server/admin/ledger/dump-queries.ts';
import { frontierAt } from '../../server/admin/ledger/proofs.ts';
import type { Config } from '../../server/config/config.ts';
import { bounded } from '../../server/domain/bounded.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { type ArchiveOptions, archiveDue } from '../../server/warden/ledger/archive.ts';
import { hashOf, nameAsArchive } from '../../server/warden/ledger/archive-file.ts';
import { archivesToDelete, monthsToArchive } from '../../server/warden/ledger/archive-queries.ts';
import { parseVerifierKey, verifyRecord } from '../../verifier/index.js';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { longAgo, sealLongAgo, witnessAll } from '../support/long-ago.ts';
import { sealOnce, sealWithin } from '../support/record.ts';

const customers = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const;
const commonTree = '00000000-0000-0000-0000-000000000000';

/** An empty record with a witness and an archive directory. */
async function recordWorld(t: Test) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const witness = join(directory, 'witness');
  mkdirSync(witness);
  const keep = (note: string, time: string): void =>
    appendFileSync(join(witness, `checkpoints-${time.slice(0, 10)}.jsonl`), `${JSON.stringify(note)}\n`);
  const seal = async (): Promise<void> => {
    for (let isFull = true; isFull; ) {
      const round = await sealOnce(database, { signer, origin });
      if (round !== undefined) keep(round.note, round.checkpoint.time);
      isFull = round?.isFull === true;
    }
  };
  const archiveDirectory = join(directory, 'archive');
  const options: ArchiveOptions = {
    config: { archiveDirectory, onlineMonths: 2, retentionMonths: 60, forwards: [] },
    database,
    log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } } as Config, 'warden'),
  };
  const count = async (text: string): Promise<number> =>
    Number((await sql.query<{ n: string }>(`select count(*) as n from ${text}`))[0]?.n);
  return {
    sql,
    directory,
    database,
    archiveDirectory,
    options,
    signing: { signer, origin },
    keep,
    seal,
    count,
    /** This many entries of two customers and of no customer, written and sealed this many months ago. */
    old: async (months: number, entries: number): Promise<void> => {
      await sql.query(
        `insert into ledger_fresh (at, kind, observer, customer_id, sensitive) select ${longAgo()} + i * interval '1 second', 'file.published', 'warden',
           case i % 3 when 0 then null else ($3::uuid[])[i % 3] end, jsonb_build_object('by', encode(sha256(i::text::bytea), 'hex')) from generate_series(1, $2::int) i`,
        [months, entries, customers],
      );
      for (const { note, checkpoint } of await sealLongAgo(database, sql, { signer, origin }, months))
        keep(note, checkpoint.time);
    },
    sealAndWitness: async (): Promise<void> => {
      await seal();
      await witnessAll(sql);
    },
    verify: async (archive?: string) => {
      const lines = await sql.query<{ line: string }>('select line from ledger_dump order by part, tree, position');
      const dump = join(directory, 'dump.jsonl');
      writeFileSync(dump, `${lines.map((row) => row.line).join('\n')}\n`);
      const keys = [parseVerifierKey(signer.verifierKey)];
      return verifyRecord({ keys, witnesses: [witness], archive, maxAgeSeconds: 600, dump, now: Date.now() });
    },
    month: async (months: number): Promise<string> =>
      (
        await sql.query<{ m: string }>(
          "select to_char(clock_timestamp() at time zone 'utc' - $1 * interval '1 month', 'YYYY-MM') as m",
          [months],
        )
      )[0]?.m ?? '',
    /** Whether the month this many months ago has a table. */
    isOnline: async (months: number): Promise<boolean> =>
      (await count(
        `(select 1 where to_regclass('ledger_sealed_' || to_char(clock_timestamp() at time zone 'utc' - ${months} * interval '1 month', 'YYYYMM')) is not null) x`,
      )) === 1,
    /**
     * A process that archives, with a limit for the size of its files in blocks of 512 bytes. Returns how it ended and
     * what it said.
     */
    child: ({
      fatal = 'none',
      blocks = 'unlimited',
      onlineMonths = 2,
    }): Promise<{ readonly signal: string | null; readonly said: string }> =>
      new Promise((resolve, reject) => {
        const script = `ulimit -f ${blocks}; exec "$@"`;
        const args = [
          '-c',
          script,
          'sh',
          process.execPath,
          join(import.meta.dirname, '../support/archiver.ts'),
          sql.wardenUrl,
          archiveDirectory,
          fatal,
          String(onlineMonths),
        ];
        execFile('sh', args, { timeout: 120_000 }, (error, stdout, stderr) => {
          if (error === null) resolve({ signal: null, said: stdout });
          else if (error.killed !== true && error.signal === 'SIGKILL') resolve({ signal: 'SIGKILL', said: stdout });
          else reject(new Error(`${error.message}\n${stderr}`));
        });
      }),
  };
}

test('a month in an archive verifies with it, is stated in every tree, and does not verify when it was changed', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, count, archiveDirectory } = world;
  await world.old(4, 1500);
  await sql.query(
    "insert into ledger_fresh (kind, observer) select 'file.published', 'warden' from generate_series(1, 300)",
  );
  await world.sealAndWitness();
  t.match(await world.verify(), { ok: true, entries: 1800 });
  const dropNow = () =>
    sql.query<{ why: string | null }>(
      "select ledger_drop_month((date_trunc('month', clock_timestamp() at time zone 'utc' - interval '4 months'))::date, 1) as why",
    );
  await t.rejects(dropNow(), /not in an archive/);

  const siem = { name: 'siem', format: 'cef', destination: { transport: 'unix', path: '/nowhere' } } as const;
  const forwarded = { ...options, config: { ...options.config, forwards: [siem] } };
  await sql.query(
    "insert into ledger_forward (name, number, sent) values ('siem', 1400, 1500), ('of another time', 0, 0)",
  );
  t.match(await archiveDue(forwarded), [{ step: 'stated', isFailure: false }], 'first it is told to the trees');
  t.match(await dropNow(), [{ why: /no sealed and witnessed entry/ }], 'nobody takes it out before that is sealed');
  await world.seal();
  t.match(await archiveDue(forwarded), [{ step: 'stated', why: /3 trees/ }]);
  t.match(await dropNow(), [{ why: /no sealed and witnessed entry/ }], 'and witnessed');
  await witnessAll(sql);
  t.match(
    await archiveDue(forwarded),
    [{ step: 'witnessed', why: /siem/, isFailure: false }],
    'it stays while a receiver does not have all of it',
  );
  t.ok(await world.isOnline(4));
  await archiveDue({ ...forwarded, config: { ...forwarded.config, retentionMonths: 2 } });
  t.equal(readdirSync(archiveDirectory).length, 1, 'and so does its archive, whatever its retention');
  t.match(
    await sql.query('select step, why from ledger_archiving'),
    [{ step: 'witnessed', why: /siem/ }],
    'operators read why',
  );
  await sql.query("update ledger_forward set number = 1500 where name = 'siem'");

  t.same(await archiveDue(forwarded), []);
  t.notOk(await world.isOnline(4), 'the month has left the database');
  t.equal(await count('ledger_archiving'), 0);
  await world.sealAndWitness();
  const month = await world.month(4);
  const file = join(archiveDirectory, `ledger-${month}.jsonl.gz`);
  t.same(readdirSync(archiveDirectory), [`ledger-${month}.jsonl.gz`]);
  t.equal(gunzipSync(readFileSync(file)).toString('utf8').split('\n').length, 1501);
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  const stated = await sql.query(
    "select tree, customer_id, public, sensitive from ledger where kind = 'ledger.archived' order by tree",
  );
  t.same(
    stated,
    [null, ...customers].map((customer) => ({
      tree: customer ?? commonTree,
      customer_id: customer,
      public: { month, first: 0, last: 499, entries: 500 },
      sensitive: { file: `ledger-${month}.jsonl.gz`, sha256, total: 1500 },
    })),
    'one entry in each tree of which it holds entries',
  );
  t.same((await world.verify(archiveDirectory)).findings, []);
  t.match(
    await world.verify(archiveDirectory),
    { ok: true, entries: 1803 },
    'with the archive every entry is looked at',
  );

  const good = readFileSync(file);
  writeFileSync(file, gzipSync(gunzipSync(good).toString('utf8').replace('"file.published"', '"file.destroyed"')));
  t.equal((await world.verify(archiveDirectory)).ok, false, 'an archive that was changed does not verify');
  writeFileSync(file, good);
});

test('a file is deleted after its retention, and after the record says so', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, count, archiveDirectory } = world;
  await world.old(4, 30);
  await archiveDue(options);
  await world.sealAndWitness();
  t.same(await archiveDue(options), []);
  const ended = { ...options, config: { ...options.config, retentionMonths: 2 } };
  await archiveDue(ended);
  t.equal(readdirSync(archiveDirectory).length, 1, 'the entry waits for its seal: the file is there');
  await world.seal();
  await archiveDue(ended);
  t.equal(readdirSync(archiveDirectory).length, 1, 'and for its witness');
  await t.rejects(
    world.database.withSystem((tx) => tx.query('update ledger_archive set deleted_at = clock_timestamp()')),
    { cause: { message: /no sealed and witnessed entry/ } },
    'nor does the database let anybody say that it is deleted',
  );
  await witnessAll(sql);
  await archiveDue(ended);
  t.equal(readdirSync(archiveDirectory).length, 0);
  t.equal(await count('ledger_archive where deleted_at is not null'), 1);
  await archiveDue(ended);
  await world.seal();
  t.equal(await count("ledger where kind = 'ledger.archive-deleted'"), 1, 'once');
});

test('killed after any step, the archiving of a month continues where it was, and nothing is lost or stated twice', async (t) => {
  const world = await recordWorld(t);
  const { options, count, archiveDirectory } = world;
  const steps = [
    'closed',
    'writing',
    'written',
    'noted',
    'named',
    'stated',
    'witnessed',
    'read-again',
    'dropped',
  ] as const;
  // The oldest first, in the order of time; one after the other is due.
  const monthOf = (i: number): number => 1 + steps.length - i;
  for (const i of steps.keys()) await world.old(monthOf(i), 30);
  for (const [i, step] of steps.entries()) {
    const months = monthOf(i);
    const due = { ...options, config: { ...options.config, onlineMonths: months } };
    let ended: string | null = null;
    for (let runs = 0; runs < 3 && ended === null; runs += 1) {
      ended = (await world.child({ fatal: step, onlineMonths: months })).signal;
      if (ended === null) await world.sealAndWitness();
    }
    t.equal(ended, 'SIGKILL', `it was killed behind "${step}"`);
    const month = await world.month(months);
    const isWhole = (await world.isOnline(months)) || existsSync(join(archiveDirectory, `ledger-${month}.jsonl.gz`));
    t.ok(isWhole, 'its entries are in the database, or in a file');
    for (let runs = 0; runs < 3 && (await archiveDue(due)).length > 0; runs += 1) await world.sealAndWitness();
    t.notOk(await world.isOnline(months), 'then it leaves');
    const lines = gunzipSync(readFileSync(join(archiveDirectory, `ledger-${month}.jsonl.gz`)))
      .toString('utf8')
      .split('\n');
    t.equal(lines.length, 31, 'its file is whole');
    t.equal(
      await count(`ledger where kind = 'ledger.archived' and public ->> 'month' = '${month}'`),
      3,
      'told once to each tree',
    );
  }
  await world.sealAndWitness();
  t.same((await world.verify(archiveDirectory)).findings, [], 'all of it verifies');
  t.same(
    readdirSync(archiveDirectory).filter((name) => !name.endsWith('.jsonl.gz') && !name.endsWith('.draft')),
    [],
    'nothing but files, and drafts of the killed',
  );
});

test('a statement whose own month leaves stays, and what rests on it is proved: by a sealer after a kill, and for a slice', async (t) => {
  const world = await recordWorld(t);
  const { sql, database, options, count, archiveDirectory, signing, keep } = world;
  const [customer] = customers;
  await world.old(7, 30);
  await archiveDue(options);
  // It was stated three months later, and by now that month is due as well.
  await sql.query('set session_replication_role = replica');
  await sql.query(`update ledger_fresh set at = ${longAgo(4)}`);
  await sql.query('set session_replication_role = origin');
  for (const { note, checkpoint } of await sealLongAgo(database, sql, signing, 4)) keep(note, checkpoint.time);
  await witnessAll(sql);
  const mark = await database.withSystem(monthsMark);
  for (let passes = 0; passes < 3; passes += 1) {
    await archiveDue(options);
    await world.sealAndWitness();
  }
  t.same([await world.isOnline(7), await world.isOnline(4)], [false, false]);
  t.equal(await count('ledger_kept'), 3, 'what was told of the first month is there still');
  t.not(await database.withSystem(monthsMark), mark, 'and whoever verifies meanwhile can tell');
  t.equal(
    await database.withSystem(monthsMark),
    await database.withSystem(monthsMark),
    'twin: while none leaves it is the same',
  );

  await sql.query("insert into ledger_fresh (kind, observer, customer_id) values ('file.published', 'warden', $1)", [
    customer,
  ]);
  t.match(
    await database.withSystem((tx) => sealWithin(tx, signing)),
    { sealed: 1 },
    'sealed, and killed before it was signed',
  );
  await world.sealAndWitness();
  t.same((await world.verify(archiveDirectory)).findings, [], 'the next sealer proved it, and goes on');
  const [told] = await sql.query<{ position: number }>('select position::int from ledger_kept where tree = $1', [
    customer,
  ]);
  const behind = 1 + Number(told?.position);
  t.ok(
    (await database.withSystem((tx) => frontierAt(tx, customer, behind))).length > 0,
    'and a slice begins behind it',
  );
});

test('a full disk ends an attempt with an alarm and no file; with room the month leaves', async (t) => {
  const world = await recordWorld(t);
  const { options, count, archiveDirectory } = world;
  await world.old(4, 6000);
  // A file may have 64 KiB, and no more.
  const { said } = await world.child({ blocks: '128' });
  t.match(
    JSON.parse(said),
    [{ step: 'writing', why: /EFBIG|ENOSPC/, isFailure: true }],
    'it says why, and does not wait for room',
  );
  t.equal(await count("ledger_sealed where kind = 'file.published'"), 6000, 'nothing left the database');
  t.same(readdirSync(archiveDirectory), [], 'no file counts, and no draft is left');
  t.match(
    await world.sql.query("select kind, severity, text from alert where kind = 'ledger.archive-stuck'"),
    [{ severity: 'critical', text: /EFBIG|ENOSPC/ }],
    'somebody is told',
  );
  t.match(await world.sql.query('select step, failed_at from ledger_archiving'), [
    { step: 'writing', failed_at: Date },
  ]);
  await archiveDue(options);
  await world.sealAndWitness();
  t.same(await archiveDue(options), []);
  t.equal(await count("ledger_sealed where kind = 'file.published'"), 0, 'with room it is archived');
});

test('two leaders at once make one archive', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, count, archiveDirectory } = world;
  await world.old(4, 3000);
  const other = new Database({ url: sql.wardenUrl, applicationName: 'other', connectionsMax: 1 });
  t.teardown(() => other.close());
  const both = () => Promise.all([archiveDue(options), archiveDue({ ...options, database: other })]);
  await both();
  await world.sealAndWitness();
  await both();
  await archiveDue(options);
  t.notOk(await world.isOnline(4));
  const [row] = await sql.query<{ sha256: string; file: string }>(
    "select file, encode(sha256, 'hex') as sha256 from ledger_archive",
  );
  t.same(readdirSync(archiveDirectory), [row?.file]);
  t.equal(await hashOf(join(archiveDirectory, row?.file ?? ''), new AbortController().signal), row?.sha256);
  t.equal(await count("ledger where kind = 'ledger.archived'"), 3, 'told once to each tree');
});

test('a leader that names its file after another one named the same keeps no second copy', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, archiveDirectory } = world;
  await world.old(4, 300);
  const other = new Database({ url: sql.wardenUrl, applicationName: 'other', connectionsMax: 1 });
  t.teardown(() => other.close());
  // The first one stops when its row is there and its file is not yet; its draft is kept out of the other one's reach.
  const away = join(archiveDirectory, '..', 'away');
  let draft = '';
  await archiveDue({
    ...options,
    onStep: (step) => {
      if (step !== 'noted') return;
      const [name = ''] = readdirSync(archiveDirectory);
      draft = join(archiveDirectory, name);
      renameSync(draft, away);
      throw new Error('killed');
    },
  });
  await archiveDue({ ...options, database: other });
  const [named = ''] = readdirSync(archiveDirectory);
  t.match(named, /^ledger-\d{4}-\d\d\.jsonl\.gz$/, 'the other one wrote it again');
  const { size } = statSync(join(archiveDirectory, named));
  const sha256 = (await hashOf(join(archiveDirectory, named), new AbortController().signal)) ?? '';
  const month = `${await world.month(4)}-01`;
  const { signal } = new AbortController();
  await nameAsArchive(archiveDirectory, { month, draft: away, sha256 }, signal);
  t.same(readdirSync(archiveDirectory), [named], 'the same file is there once');
  t.equal(statSync(join(archiveDirectory, named)).size, size);
  writeFileSync(away, 'something else');
  await nameAsArchive(
    archiveDirectory,
    { month, draft: away, sha256: createHash('sha256').update('something else').digest('hex') },
    signal,
  );
  t.equal(readdirSync(archiveDirectory).length, 2, 'and what differs is kept beside it');
});

test('what came into a month after its file was written keeps it in the database, with an alarm', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, database } = world;
  await world.old(4, 30);
  await archiveDue(options);
  await world.sealAndWitness();
  const table = `ledger_sealed_${(await world.month(4)).replace('-', '')}`;
  const add = (disable: string) =>
    sql.query(
      `${disable} insert into ledger_sealed select number, tree, position + 1000, salt, leaf, id, at, kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public, credential, also_credential, source, source_port, client, operator, sensitive from ${table} limit 1`,
    );
  await t.rejects(add(''), { code: '22008' }, 'a closed month takes nothing');
  await add(`alter table ${table} disable trigger ledger_month_is_closed;`);
  await sql.query(`alter table ${table} enable trigger ledger_month_is_closed`);
  t.match(await archiveDue(options), [
    { step: 'read-again', why: /does not hold what its file holds/, isFailure: true },
  ]);
  t.ok(await world.isOnline(4), 'it stays');
  t.match(await sql.query("select text from alert where kind = 'ledger.archive-stuck'"), [
    { text: /does not hold what its file holds/ },
  ]);
  t.rejects(
    database.withSystem((tx) => tx.query(`drop table ${table}`)),
    'nor can the role of the warden drop it otherwise',
  );
});

test('a file that is damaged or gone before its month left is written again', async (t) => {
  const world = await recordWorld(t);
  const { options, archiveDirectory } = world;
  await world.old(4, 30);
  await archiveDue(options);
  await world.sealAndWitness();
  const file = join(archiveDirectory, `ledger-${await world.month(4)}.jsonl.gz`);
  const good = readFileSync(file);
  truncateSync(file, 40);
  t.same(await archiveDue(options), [], 'it leaves');
  t.same(readFileSync(file), good, 'for a file that is whole');
  t.equal(
    readdirSync(archiveDirectory).filter((name) => name.includes('.other-')).length,
    1,
    'what lay there is kept beside it',
  );
});

test('a file of more than 2 GiB is read as a stream', async (t) => {
  const path = join(temporaryDirectory(t), 'large');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 31 + 4096);
  t.match(await hashOf(path, new AbortController().signal), /^[0-9a-f]{64}$/);
  rmSync(path);
});

test('a month leaves the database, and an archive its directory, when enough months have begun since, and not before', async (t) => {
  const world = await recordWorld(t);
  const { sql, database, options, archiveDirectory } = world;
  // The first and the last moment of each of the last months, by the clock of the database.
  for (const i of [4, 3, 2, 1, 0]) {
    for (const edge of ["interval '0'", "interval '1 month' - interval '1 microsecond'"])
      await sql.query(
        `insert into ledger_fresh (at, kind, observer) select least((date_trunc('month', clock_timestamp() at time zone 'utc') - $1 * interval '1 month' + ${edge}) at time zone 'utc', clock_timestamp()),
           'file.published', 'warden'`,
        [i],
      );
  }
  await sql.query('select ledger_month(at) from ledger_fresh');
  await sql.query('alter table ledger_fresh disable trigger ledger_leaves_sealed');
  await sql.query(
    `with w as (delete from ledger_fresh returning *) insert into ledger_sealed select id, $1, id - 1, sha256('s'), sha256('l'), w.* from w`,
    [commonTree],
  );
  await sql.query('alter table ledger_fresh enable trigger ledger_leaves_sealed');
  // The tree that was sealed has as many entries: what states their archive stands behind them.
  await sql.query(
    "insert into ledger_fresh (kind, observer) select 'file.published', 'warden' from generate_series(1, 20)",
  );
  await world.sealAndWitness();
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
  await archiveDue(options);
  await world.sealAndWitness();
  t.same(await archiveDue(options), []);
  t.equal(readdirSync(archiveDirectory).length, 3);
  for (const retention of [2, 3, 4])
    t.same(
      await ago((await database.withSystem((tx) => archivesToDelete(tx, retention))).map((one) => one.month)),
      [4, 3, 2].filter((months) => months >= retention),
      `${retention} months are kept, the current one among them`,
    );
});

test('a row that names another file deletes nothing, and raises an alarm; the archive of its month is deleted', async (t) => {
  const world = await recordWorld(t);
  const { sql, options, archiveDirectory, directory, count } = world;
  const secret = join(directory, 'secret.key');
  writeFileSync(secret, 'a key');
  mkdirSync(archiveDirectory);
  const own = join(archiveDirectory, 'ledger-2015-02.jsonl.gz');
  const neighbour = join(archiveDirectory, 'ledger-2015-03.jsonl.gz');
  for (const path of [own, neighbour]) writeFileSync(path, 'an archive');
  // No trigger of ours stops the owner of the database.
  await sql.query('alter table ledger_archive disable trigger user');
  const plant = (month: string, file: string) =>
    sql.query("insert into ledger_archive (month, file, sha256, entries) values ($1, $2, sha256('x'), 0)", [
      month,
      file,
    ]);
  await plant('2014-12-01', '../secret.key');
  await plant('2015-01-01', 'ledger-2015-03.jsonl.gz');
  await plant('2015-02-01', 'ledger-2015-02.jsonl.gz');
  for (let i = 0; i < 3; i += 1) {
    await archiveDue(options);
    await world.sealAndWitness();
  }
  t.ok(existsSync(secret), 'a path out of the directory');
  t.ok(existsSync(neighbour), 'the file of another month');
  t.notOk(existsSync(own), 'twin: the file of its own month, whose retention has ended');
  t.equal(await count('ledger_archive where deleted_at is not null'), 1);
  t.same(
    (await sql.query("select distinct subject from alert where kind = 'ledger.archive-stuck' order by 1")).map(
      (row) => row,
    ),
    [{ subject: '2014-12' }, { subject: '2015-01' }],
  );
});

test('a link, a second name, a pipe or a directory is no archive, wherever it leads', async (t) => {
  const directory = temporaryDirectory(t);
  const [file, odd] = [join(directory, 'file'), join(directory, 'ledger-2026-01.jsonl.gz')];
  writeFileSync(file, 'an archive');
  const never = new AbortController().signal;
  t.equal(await hashOf(file, never), createHash('sha256').update('an archive').digest('hex'), 'twin: a file');
  for (const put of [
    () => symlinkSync(file, odd),
    () => linkSync(file, odd),
    () => void execFileSync('mkfifo', [odd]),
    () => mkdirSync(odd),
  ]) {
    put();
    t.equal(await bounded(20_000, 'the hash', hashOf(odd, never)), undefined);
    rmSync(odd, { recursive: true });
  }
  t.equal(await hashOf(odd, never), undefined);
});
