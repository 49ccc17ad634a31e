// An entry that was written is sealed or missed: when it is deleted or changed before its seal, whoever wrote it
// notices. Honest cases that look alike are not reported.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { recordCall } from '../../server/admin/calls/operator-queries.ts';
import { OwnEntries } from '../../server/admin/ledger/born.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { advisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { Born, createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { quarantineFirst } from '../../server/warden/ledger/quarantine-queries.ts';
import type { Signing } from '../../server/warden/ledger/seal.ts';
import { type Look, look } from '../../server/warden/ledger/seal-queries.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { sealOnce } from '../support/record.ts';
import { until } from '../support/until.ts';

/** A warden whose entries wait until the test seals them: the test holds the leader's lock. */
async function setUp(t: Test, limits: Readonly<Record<string, number>> = {}) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, {
    sealEveryMs: 20,
    witnessStopMs: 600_000,
    witnessAlarmMs: 600_000,
    ...limits,
  });
  const keys = createKeyRing(config);
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 2,
    drafts: () => births.begin(),
  });
  t.teardown(() => database.close());
  const leader = new pg.Client({ connectionString: sql.migrateUrl });
  await leader.connect();
  t.teardown(() => leader.end());
  await leader.query('select pg_advisory_lock($1)', [advisoryLocks.sealerLeadership]);
  const signing: Signing = await database.withSystem(async (tx) => {
    const origin = originOf((await installationId(tx)).id);
    return { origin, signer: keys.checkpointSigner(origin) };
  });
  const file = new FileWitness('local', true, join(directory, 'witness'));
  const guard = new LedgerGuard();
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const ledger = new Ledger({ config, url: sql.wardenUrl, keys, guard, births, witnesses: [file], log });
  await ledger.start();
  t.teardown(() => ledger.stop());
  const write = (kind: 'extent.stored' | 'file.published' = 'extent.stored'): Promise<void> =>
    database.withSystem((tx) =>
      record(tx, { kind, observer: 'warden', public: kind === 'extent.stored' ? { digest: 'x' } : {} }),
    );
  const seal = async (): Promise<void> => {
    await sealOnce(database, signing);
  };
  const asOwner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('set session_replication_role = origin');
  };
  const freezes = (): Promise<readonly { why: string; text: string }[]> =>
    sql.query('select why, text from ledger_freeze order by at');
  return { sql, config, births, database, guard, write, seal, asOwner, freezes, log };
}

const beats = (): Promise<void> => delay(300);

test('an entry that is deleted before it is sealed is missed, by its number and kind', async (t) => {
  const { sql, births, guard, write, asOwner, freezes } = await setUp(t);
  for (let i = 0; i < 3; i += 1) await write();
  await beats();
  t.same(guard.state, { is: 'open' }, 'twin: what waits is in order');
  t.equal(births.size, 3);
  const [row] = await sql.query<{ id: string }>('select max(id)::text as id from ledger_fresh');
  await asOwner(`delete from ledger_fresh where id = ${row?.id}`);
  await until('nothing is served', () => guard.state.is === 'closed');
  await until('it is frozen', async () => (await freezes()).length === 1);
  t.same(await freezes(), [
    {
      why: 'diverged',
      text: `the entry ${row?.id} (extent.stored) that this warden wrote is neither waiting nor sealed: the record was touched`,
    },
  ]);
  t.match(await sql.query("select severity from alert where kind = 'ledger.frozen'"), [{ severity: 'critical' }]);
});

test('an entry that is changed before it is sealed, and one that is sealed with another content', async (t) => {
  const waiting = await setUp(t);
  await waiting.write();
  await waiting.asOwner(`update ledger_fresh set public = '{"digest": "y"}'`);
  await until('it is frozen', async () => (await waiting.freezes()).length === 1);
  t.match(await waiting.freezes(), [
    { why: 'diverged', text: /does not say any more what was written: the record was touched/ },
  ]);

  const sealed = await setUp(t);
  await sealed.write();
  // The lock on `ledger_state` makes the warden's look wait while the entry is changed. The entry is sealed right after
  // that, so that the warden finds it sealed with another content.
  await sealed.sql.query('begin');
  await sealed.sql.query('lock table ledger_state in access exclusive mode');
  await sealed.asOwner(`update ledger_fresh set at = at - interval '1 microsecond'`);
  await sealed.sql.query('commit');
  await sealed.seal();
  await until('it is frozen', async () => (await sealed.freezes()).length === 1);
  t.match(await sealed.freezes(), [{ why: 'diverged', text: /does not say any more what was written/ }]);
});

test('no row, another row, an impossible number or another time comes back: nothing is done, and the record is frozen', async (t) => {
  const trigger = async (sql: Awaited<ReturnType<typeof createTestDatabase>>, body: string): Promise<void> => {
    await sql.query(`create function other() returns trigger language plpgsql as $$ begin ${body} end $$`);
    await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
  };
  const withTrigger = (body: string) => (sql: Awaited<ReturnType<typeof createTestDatabase>>) =>
    trigger(sql, `if new.kind = 'extent.stored' then ${body} end if; return new;`);
  const cases = [
    { touch: withTrigger('return null;'), fault: 'came back as 0 rows' },
    { touch: withTrigger(`new.kind := 'session.opened';`), fault: 'came back with another kind than was sent' },
    {
      touch: withTrigger(`new.customer_id := gen_random_uuid();`),
      fault: 'came back with another customer_id than was sent',
    },
    { touch: withTrigger(`new.public := '{"digest": "y"}';`), fault: 'came back with another public than was sent' },
    {
      touch: withTrigger(`new.id := 1000000000000001;`),
      fault: 'was given the number 1000000000000001, which is not possible',
    },
    {
      touch: withTrigger(`new.at := new.at + interval '40 days';`),
      fault: /^was given the time .* which the database's clock does not show/,
    },
  ];
  for (const { touch, fault } of cases) {
    const { sql, births, guard, write, freezes } = await setUp(t);
    await write();
    await beats();
    t.same(guard.state, { is: 'open' }, 'twin: as it was sent');
    await touch(sql);
    await t.rejects(write(), { code: 'unavailable' });
    t.equal(
      (await sql.query('select 1 from ledger_fresh where kind <> $1', ['ledger.frozen'])).length,
      1,
      'only the first one was written',
    );
    t.ok(births.size >= 1, 'which is watched');
    await until('it is frozen', async () => (await freezes()).length === 1);
    const [freeze] = await freezes();
    t.equal(freeze?.why, 'diverged');
    t.match(
      freeze?.text,
      /^an entry \(extent\.stored\) that this warden wrote .*; its effect was undone: the record was touched$/,
    );
    const said = freeze?.text
      .replace('an entry (extent.stored) that this warden wrote ', '')
      .replace(/; its effect.*/, '');
    t.match(said, fault);
  }
});

test('an effect that continues although its entry was refused is not committed', async (t) => {
  const { sql, database } = await setUp(t);
  await sql.query('create function other() returns trigger language plpgsql as $$ begin return null; end $$');
  await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
  await sql.query('create table effect (n int)');
  await sql.query('grant insert on effect to cofferdam_warden');
  const effect = (kind: 'extent.stored' | undefined): Promise<void> =>
    database.withSystem(async (tx) => {
      await tx.query('insert into effect values (1)');
      if (kind !== undefined) await record(tx, { kind, observer: 'warden', public: { digest: 'x' } }).catch(() => {});
    });
  await effect(undefined);
  await t.rejects(effect('extent.stored'), { code: 'unavailable' });
  t.equal((await sql.query('select 1 from effect')).length, 1, 'only the twin');
});

test('twin: an entry sealed as written is forgotten, one that was undone is not waited for, one that was set aside is', async (t) => {
  const { sql, births, database, guard, write, seal, freezes } = await setUp(t);
  for (let i = 0; i < 5; i += 1) await write();
  await seal();
  await until('all are seen sealed', () => births.size === 0);

  await database.withSystem(async (tx) => {
    await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'a' } });
    await tx.query('savepoint part');
    await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'undone' } });
    await tx.query('rollback to savepoint part');
    await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'b' } });
  });
  t.equal(births.size, 2, 'what was undone in the middle of it is not waited for');
  await t.rejects(
    database.withSystem(async (tx) => {
      await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'c' } });
      throw new Error('undone');
    }),
    /undone/,
  );
  t.equal(births.size, 2, 'nor what was undone as a whole');

  await write();
  await database.withSystem((tx) => quarantineFirst(tx, 'a test'));
  await seal();
  await until('the others are sealed', () => births.size === 1);
  await beats();
  t.equal(births.size, 1, 'what was set aside waits, and is waited for');
  t.same(guard.state, { is: 'open' });
  await sql.query('set session_replication_role = replica');
  await sql.query('delete from ledger_fresh');
  await sql.query('set session_replication_role = origin');
  await until('deny twin: it is gone', async () => (await freezes()).length === 1);
});

test('a transaction that ran twice is watched once, and one whose outcome nobody knows until it is known', async (t) => {
  const { sql, births, database, guard, seal } = await setUp(t);
  let tries = 0;
  await database.withSystem(async (tx) => {
    tries += 1;
    await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } });
    if (tries === 1)
      await tx.query(`do $$ begin raise exception 'crosswise' using errcode = 'deadlock_detected'; end $$`);
  });
  t.equal(tries, 2);
  t.equal(births.size, 1, 'only the try that was committed');
  await seal();
  await until('it is seen', () => births.size === 0);

  // The connection ends while the commit is under way: a trigger ends it at that moment.
  await sql.query(
    `create function cut() returns trigger language plpgsql security definer as $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`,
  );
  await sql.query(
    'create constraint trigger cut after insert on ledger_fresh deferrable initially deferred for each row execute function cut()',
  );
  await t.rejects(
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } })),
    { code: 'unavailable' },
  );
  await sql.query('drop trigger cut on ledger_fresh');
  t.equal((await sql.query('select 1 from ledger_fresh')).length, 0, 'it was undone');
  t.equal(births.size, 1, 'and this process cannot know');
  await beats();
  t.same(guard.state, { is: 'open' }, 'nobody is accused because of it');
});

test('entries given up by the release of a freeze are forgotten; entries missing on another server freeze the record as `behind`', async (t) => {
  const sql = await createTestDatabase(t);
  const births = createBirths({ unseenEntriesMax: 100, clockJumpMs: 30_000 });
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  t.teardown(() => database.close());
  let isGivenUp = true;
  const born = new Born(database, births, async () => isGivenUp);
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const lose = async (): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query('delete from ledger_fresh');
    await sql.query('set session_replication_role = origin');
  };
  const keys = createKeyRing(ledgerConfig(temporaryDirectory(t), {}));
  const signing = await database.withSystem(async (tx): Promise<Signing> => {
    const origin = originOf((await installationId(tx)).id);
    return { origin, signer: keys.checkpointSigner(origin) };
  });
  const seen = (): Promise<Look> => database.withSystem(look);
  t.equal(await born.look(await seen(), signing, []), undefined);
  await write();
  await lose();
  t.match(await born.look(await seen(), signing, []), { why: 'diverged', facts: { missed: 1, kind: 'extent.stored' } });
  t.match(await born.look(await seen(), signing, []), { why: 'diverged' }, 'each look finds it again');
  // That two operators signed it is tested in test/attack/restored-database.
  await sql.query('update ledger_state set era = 2');
  t.equal(await born.look(await seen(), signing, []), undefined, 'no second finding');
  t.match(await sql.query("select text from alert where kind = 'ledger.given-up'"), [
    { text: /^the release that began era 2 gave up what this warden wrote from .*: 1 extent\.stored$/ },
  ]);
  t.equal(births.size, 1, 'only the entry that reports the loss is watched now');
  await write();
  t.equal(await born.look(await seen(), signing, []), undefined);
  t.equal(births.size, 2);
  await lose();
  t.match(await born.look(await seen(), signing, []), { why: 'diverged' }, 'the next one is missed');

  const other = { ...(await seen()), identity: '8/1' };
  t.equal(
    await born.look(other, signing, []),
    undefined,
    'another server answers than the one at which the beat began: the next beat knows which',
  );
  t.match(await born.look(await seen(), signing, []), {
    why: 'behind',
    text: /another server or timeline, and lost what was committed/,
  });
  await sql.query('update ledger_state set era = 3');
  t.equal(await born.look(await seen(), signing, []), undefined);

  // The release of a freeze for a clock gives up nothing.
  await write();
  t.equal(await born.look(await seen(), signing, []), undefined);
  isGivenUp = false;
  await sql.query('update ledger_state set era = 4');
  t.equal(await born.look(await seen(), signing, []), undefined, 'twin: it waits in the next era as well');
  await sealOnce(database, signing);
  t.equal(await born.look(await seen(), signing, []), undefined, 'and is sealed there');
  t.equal(births.size, 0);
  await write();
  await lose();
  await sql.query('update ledger_state set era = 5');
  t.match(
    await born.look(await seen(), signing, []),
    { why: 'diverged', facts: { missed: 1 } },
    'one that is gone is missed after it',
  );
});

test('so many entries are remembered; beyond that nothing begins, and beyond twice as many nothing is written', async (t) => {
  const { sql, births, database, guard, write, seal } = await setUp(t, { unseenEntriesMax: 10 });
  for (let i = 0; i < 9; i += 1) await write();
  await beats();
  t.doesNotThrow(() => guard.requireRoom());
  await write();
  await until('full', () => {
    try {
      guard.requireRoom();
      return false;
    } catch {
      return true;
    }
  });
  for (let i = 0; i < 10; i += 1) await write();
  t.equal(births.size, 20, 'what is under way ends');
  await t.rejects(write(), { code: 'unavailable', message: 'the record is behind; try again in a moment' });
  t.equal((await sql.query('select 1 from ledger_fresh')).length, 20, 'and nothing was forgotten for another one');
  await seal();
  await until('sealed: it goes on by itself', () => {
    try {
      guard.requireRoom();
      return births.size === 0;
    } catch {
      return false;
    }
  });
  await write();
  await database.withSystem(async () => {});
});

test('the admin process misses an entry of its own: it raises a critical alert, and its role can raise no other alert', async (t) => {
  const { sql, config, log, asOwner, seal } = await setUp(t);
  const entries = new OwnEntries(config.limits, log);
  const admin = new Database({
    url: sql.adminUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => entries.begin(),
  });
  t.teardown(() => admin.close());
  const facts = { operator: 'olga', role: 'security-officer', operation: 'ledger.status', params: '{}', allowed: true };
  const ask = (): Promise<void> => admin.withSystem((tx) => recordCall(tx, 'operator.asked', facts));
  const alerts = () =>
    sql.query<{ severity: string; text: string }>(
      "select severity, text from alert where kind = 'ledger.entry-missed'",
    );
  await entries.look(admin);
  await ask();
  await entries.look(admin, 0);
  await seal();
  await entries.look(admin, 0);
  t.same(await alerts(), [], 'twin: waiting, then sealed');
  await ask();
  await asOwner("delete from ledger_fresh where observer = 'admin'");
  await entries.look(admin, 0);
  t.same(await alerts(), [], 'once is not enough: a warden may be about to freeze');
  await entries.look(admin, 0);
  t.match(await alerts(), [
    {
      severity: 'critical',
      text: /^the entry \d+ \(operator\.asked\) that the admin process wrote is neither waiting nor sealed/,
    },
  ]);
  await t.rejects(
    admin.withSystem((tx) =>
      tx.query(
        "insert into alert (kind, severity, subject, hour, text, facts, next_command) values ('x', 'notice', 'x', now(), 'x', '{}', 'x')",
      ),
    ),
    { code: 'bug' },
  );
});

test('the admin process reports that an entry of its own was not written as sent, and that one waits for too long', async (t) => {
  const { sql, config, log } = await setUp(t);
  const start = async (witnessAlarmMs: number) => {
    const entries = new OwnEntries({ ...config.limits, witnessAlarmMs }, log);
    const admin = new Database({
      url: sql.adminUrl,
      applicationName: 'test',
      connectionsMax: 1,
      drafts: () => entries.begin(),
    });
    t.teardown(() => admin.close());
    await entries.look(admin);
    const facts = {
      operator: 'olga',
      role: 'security-officer',
      operation: 'ledger.status',
      params: '{}',
      allowed: true,
    };
    return {
      look: () => entries.look(admin, 0),
      ask: () => admin.withSystem((tx) => recordCall(tx, 'operator.asked', facts)),
    };
  };
  const alerts = async () =>
    (await sql.query<{ text: string }>("select text from alert where kind = 'ledger.entry-missed'")).map(
      (row) => row.text,
    );
  const patient = await start(600_000);
  await patient.ask();
  await delay(20);
  await patient.look();
  t.same(await alerts(), [], 'twin: it waits, and not for long');
  const hasty = await start(10);
  await hasty.ask();
  await delay(20);
  await hasty.look();
  t.match(await alerts(), [/^the entry \d+ that the admin process wrote has not been seen sealed for too long$/]);

  await sql.query('delete from alert');
  await sql.query(
    "create function other() returns trigger language plpgsql as $$ begin new.operator := 'oscar'; return new; end $$",
  );
  await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
  await t.rejects(patient.ask(), { code: 'unavailable' });
  await patient.look();
  t.match(await alerts(), [
    /^the database did not write an entry \(operator\.asked\) as the admin process sent it, and the call was undone/,
  ]);
});
