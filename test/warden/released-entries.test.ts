// What a release ends and what it does not: entries that a warden wrote before a freeze, or while one stands, are
// looked for by their content, also when the warden was stopped and started meanwhile.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { releaseUseCase } from '../../server/warden/ledger/ledger-commands.ts';
import { namesOf } from '../../server/warden/ledger/releases.ts';
import type { Freeze } from '../../server/warden/ledger/seal-queries.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { hourMs, startTwoOperators } from '../support/two-operators.ts';
import { until } from '../support/until.ts';

/** A machine with its memory and its witness, on a database whose owner writes freezes, and two honest operators. */
async function setUp(t: Test) {
  const release = releaseUseCase(new LedgerGuard())['ledger.release'];
  const operators = await startTwoOperators(
    t,
    (doing) =>
      (_o, params, by, { change }) =>
        release(params as Parameters<typeof release>[0], { ...doing, operator: by.operator, change }),
  );
  const { sql, bob, propose, approve } = operators;
  const { keys } = operators.warden;
  const directory = temporaryDirectory(t);
  const memoryFile = join(directory, 'memory.json');
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 100, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const run = async () => {
    const births = createBirths(config.limits);
    const database = new Database({
      url: sql.wardenUrl,
      applicationName: 'test',
      connectionsMax: 1,
      drafts: () => births.begin(),
    });
    const guard = new LedgerGuard();
    const witnesses = [new FileWitness('local', true, join(directory, 'witness'))];
    const ledger = new Ledger({ config, url: sql.wardenUrl, keys, guard, births, witnesses, memoryFile, log });
    await ledger.start();
    let isStopped = false;
    const stop = async (): Promise<void> => {
      if (isStopped) return;
      isStopped = true;
      await ledger.stop();
      await database.close();
    };
    t.teardown(stop);
    const write = (digest: string): Promise<void> =>
      database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest } }));
    return { births, guard, stop, write };
  };
  const asOwner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('begin');
    await sql.query('set local session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('commit');
  };
  const releaseByTwo = async (): Promise<void> => {
    const [freeze] = await sql.query<Freeze>(
      'select id, why, text, facts from ledger_freeze where released_at is null',
    );
    if (freeze === undefined) throw new Error('no freeze');
    const params = { ...namesOf(freeze), reason: 'a test' };
    await approve(await propose(hourMs, { operation: 'ledger.release', params }), bob);
  };
  /** What is written before the owner's freeze stands, without a seal. */
  const writeUnsealed = async (warden: Awaited<ReturnType<typeof run>>, why: string, ...digests: readonly string[]) => {
    await warden.write('first');
    await until('sealed', () => warden.births.size === 0);
    await sql.query('begin');
    await sql.query('select 1 from ledger_state for update');
    for (const one of digests) await warden.write(one);
    await sql.query(
      `insert into ledger_freeze (id, why, text, facts)
       select gen_random_uuid(), $1::text, 'the clock of the database jumped by 31 s', jsonb_build_object('witnessedEra', s.era, 'witnessedSize', h.n,
         'witnessedRoot', split_part(s.checkpoint, E'\\n', 3), 'witnessedAt', '2026-12-01T01:00:00.000Z', 'heads', h.n, 'era', s.era)
       from ledger_state s, (select count(*) as n from ledger_head) h`,
      [why],
    );
    await sql.query('commit');
    await until('frozen', () => warden.guard.state.is === 'closed');
  };
  const sealed = (digest: string) => sql.query("select 1 from ledger_sealed where public->>'digest' = $1", [digest]);
  const alerts = (kind: string) => sql.query<{ text: string }>('select text from alert where kind = $1', [kind]);
  const freezes = () => sql.query<{ text: string }>('select text from ledger_freeze where released_at is null');
  return { sql, run, asOwner, releaseByTwo, writeUnsealed, sealed, alerts, freezes, memoryFile };
}

test('after an honest release that gives something up, what was changed or deleted meanwhile is told, and the rest is watched', async (t) => {
  const { run, asOwner, releaseByTwo, writeUnsealed, sealed, alerts, sql } = await setUp(t);
  const warden = await run();
  await writeUnsealed(warden, 'behind', 'changed', 'deleted', 'honest');
  await asOwner(
    `update ledger_fresh set public = '{"digest": "harmless"}' where public->>'digest' = 'changed'`,
    "delete from ledger_fresh where public->>'digest' = 'deleted'",
  );
  await releaseByTwo();
  await until('it goes on', () => warden.guard.state.is === 'open');
  await until('it is told', async () => (await alerts('ledger.given-up')).length === 1);
  t.match(await alerts('ledger.given-up'), [
    {
      text: /^the release that began era 2 gave up what this warden wrote from .* and what is neither waiting nor sealed, entries by kind: 1 extent\.stored; and what does not say any more what was written, entries by kind: 1 extent\.stored$/,
    },
  ]);
  await until('twin: the honest one is sealed', async () => (await sealed('honest')).length === 1);
  await until('and seen so', () => warden.births.size === 0);
  t.equal((await sql.query("select 1 from ledger_sealed where kind = 'ledger.given-up'")).length, 1, 'on the record');
});

test('a freeze for a clock that the owner wrote, and an orderly restart while it stands: a deleted entry is missed', async (t) => {
  const { run, asOwner, releaseByTwo, writeUnsealed, freezes, memoryFile } = await setUp(t);
  const first = await run();
  await writeUnsealed(first, 'clock', 'taken');
  await first.stop();
  t.match(JSON.parse(readFileSync(memoryFile, 'utf8')), { left: { era: 1, entries: [[Number, 'extent.stored']] } });
  await asOwner("delete from ledger_fresh where public->>'digest' = 'taken'");
  const second = await run();
  t.equal(second.births.size, 1, 'it is waited for again');
  await releaseByTwo();
  await until('it is missed', async () => /neither waiting nor sealed/.test((await freezes())[0]?.text ?? ''));
  t.match(second.guard.state, { is: 'closed', why: 'frozen', text: /\(extent\.stored\) that this warden wrote/ });
});

test('twin: what an earlier run left is sealed after the release, by this warden or another one, and forgotten', async (t) => {
  const { run, releaseByTwo, writeUnsealed, sealed, freezes, alerts, memoryFile } = await setUp(t);
  const first = await run();
  await writeUnsealed(first, 'clock', 'honest', 'honest too');
  await first.stop();
  const left = readFileSync(memoryFile, 'utf8');
  const second = await run();
  await releaseByTwo();
  await until('sealed', async () => (await sealed('honest')).length === 1);
  await until('and seen so', () => second.births.size === 0);
  await until('and forgotten', () => JSON.parse(readFileSync(memoryFile, 'utf8')).left === null);
  await second.write('second');
  await second.stop();
  // As if the process had been killed before it took them off the disk: others sealed meanwhile.
  const now = JSON.parse(readFileSync(memoryFile, 'utf8'));
  writeFileSync(memoryFile, JSON.stringify({ ...now, left: JSON.parse(left).left }));
  const third = await run();
  await until('found in what was sealed before', () => third.births.size === 0 && third.guard.state.is === 'open');
  await until('and forgotten', () => JSON.parse(readFileSync(memoryFile, 'utf8')).left === null);
  t.same([await freezes(), await alerts('ledger.given-up')], [[], []]);
});

test('what an earlier run left is not taken for sealed because a row is there', async (t) => {
  const { run, asOwner, releaseByTwo, writeUnsealed, freezes, sql, memoryFile } = await setUp(t);
  const first = await run();
  await writeUnsealed(first, 'clock', 'taken');
  await first.stop();
  // The numbers in which it is searched begin before the last one that is sealed.
  const now = JSON.parse(readFileSync(memoryFile, 'utf8'));
  writeFileSync(memoryFile, JSON.stringify({ ...now, left: { ...now.left, number: 0 } }));
  await asOwner(
    'select ledger_month(now())',
    `insert into ledger_sealed select s.number, '00000000-0000-0000-0000-000000000000', 0, sha256('s'), sha256('l'), f.*
     from ledger_fresh f, ledger_state s where public->>'digest' = 'taken'`,
    "delete from ledger_fresh where public->>'digest' = 'taken'",
  );
  await run();
  await releaseByTwo();
  await until('it is missed', async () => (await freezes()).length === 1);
  t.match(await sql.query('select why from ledger_freeze where released_at is null'), [{ why: 'diverged' }]);
});

test('what was left so long ago that it may be in an archive is told of when it is gone, and freezes nothing', async (t) => {
  const { run, asOwner, releaseByTwo, writeUnsealed, freezes, alerts, memoryFile } = await setUp(t);
  const first = await run();
  await writeUnsealed(first, 'clock', 'old');
  await first.stop();
  const now = JSON.parse(readFileSync(memoryFile, 'utf8'));
  const entries = now.left.entries.map((one: readonly unknown[]) => one.with(3, Number(one[3]) - 28 * 86_400_000_000));
  writeFileSync(memoryFile, JSON.stringify({ ...now, left: { ...now.left, entries } }));
  await asOwner("delete from ledger_fresh where public->>'digest' = 'old'");
  const second = await run();
  await releaseByTwo();
  await until('it is told', async () => (await alerts('ledger.given-up')).length === 1);
  t.match(await alerts('ledger.given-up'), [
    { text: /^an earlier run of this warden left, too long ago .*entries by kind: 1 extent\.stored$/ },
  ]);
  await until('it goes on', () => second.guard.state.is === 'open' && second.births.size === 0);
  t.same(await freezes(), []);
});

test('while a freeze stands, both entries to which the database gave one number are watched', async (t) => {
  for (const isHonest of [true, false]) {
    const { sql, run, asOwner, releaseByTwo, writeUnsealed, sealed, freezes } = await setUp(t);
    const warden = await run();
    await writeUnsealed(warden, 'clock', 'one');
    const [row] = await sql.query<{ id: string }>("select id::text from ledger_fresh where public->>'digest' = 'one'");
    if (!isHonest)
      await asOwner(
        `create table kept as select * from ledger_fresh where id = ${row?.id}`,
        `delete from ledger_fresh where id = ${row?.id}`,
        `select setval(pg_get_serial_sequence('ledger_fresh', 'id'), ${row?.id}, false)`,
      );
    await warden.write('two');
    if (!isHonest)
      await asOwner(
        `delete from ledger_fresh where id = ${row?.id}`,
        'insert into ledger_fresh overriding system value select * from kept',
      );
    await releaseByTwo();
    if (isHonest) {
      await until('twin: both are sealed', () => warden.births.size === 0 && warden.guard.state.is === 'open');
      t.equal((await sealed('two')).length, 1);
    } else {
      await until('it is missed', async () => (await freezes()).length === 1);
      t.match(await freezes(), [{ text: /does not say any more what was written/ }]);
    }
  }
});
