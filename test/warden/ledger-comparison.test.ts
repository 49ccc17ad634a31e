// When a warden calls the record good, and when it freezes, while other wardens seal and databases are exchanged.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { originOf, parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { advisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { Database } from '../../server/postgres/database.ts';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { type Known, LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { quarantineFirst } from '../../server/warden/ledger/quarantine-queries.ts';
import type { Signing } from '../../server/warden/ledger/seal.ts';
import { look } from '../../server/warden/ledger/seal-queries.ts';
import { type Beat, type Sealed, Sealer } from '../../server/warden/ledger/sealer.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { beginsAnEntry } from '../../server/warden/nodes/allowances.ts';
import { generationsOf } from '../../server/warden/seals/generations.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { sealWithin } from '../support/record.ts';

const sealedAgain = { kind: 'account', id: 'a', generation: 7 } as const;

async function setUp(t: Test, limits: Readonly<Record<string, number>> = {}) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 20, ...limits });
  const keys = createKeyRing(config);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const signing: Signing = await database.withSystem(async (tx) => {
    const origin = originOf((await installationId(tx)).id);
    return { origin, signer: keys.checkpointSigner(origin) };
  });
  const file = new FileWitness('local', true, join(directory, 'witness'));
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  /** As another warden. */
  const other = new Sealer(database, createLogger(config, 'test'));
  const round = (beat: Partial<Beat> = {}): Promise<Sealed | undefined> =>
    other.round(signing, { isSignDue: false, now: Date.now(), ...beat });
  const seal = async (): Promise<Sealed> => {
    await write();
    const done = await round();
    // It found what a third one sealed, and proves that first.
    const sealed = done ?? (await round());
    if (sealed === undefined) throw new Error('nothing to seal');
    return sealed;
  };
  const ledger = (
    newest: () => Promise<string | undefined>,
    keep = (note: string): Promise<void> => file.keep(note),
  ) => {
    const guard = new LedgerGuard();
    const witness = { name: 'local', isRequired: true, keep, newest };
    const one = new Ledger({
      config,
      url: sql.wardenUrl,
      keys,
      guard,
      witnesses: [witness],
      log: createLogger(config, 'test'),
    });
    return { guard, start: () => one.start(), stop: () => one.stop() };
  };
  return { sql, database, keys, signing, file, write, seal, round, ledger };
}

/** Waits until it is so, or until the time is over. */
async function waited(ms: number, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + ms; !isSo() && performance.now() < end; ) await delay(20);
}

/** Nobody else leads: everything that is sealed was sealed by the test. */
async function holdLead(t: Test, url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  await client.query('select pg_advisory_lock($1)', [advisoryLocks.sealerLeadership]);
}

test('a warden that starts believes no head that was touched after what a witness has', async (t) => {
  const { sql, seal, file, ledger } = await setUp(t);
  await holdLead(t, sql.migrateUrl);
  await file.keep((await seal()).note);
  // Sealed and signed, and delivered nowhere when the warden ended.
  await seal();
  const touch = (by: number): Promise<unknown> =>
    sql.query(
      `begin; set local session_replication_role = replica;
       update ledger_head set number = number + (${by}) where position = (select max(position) from ledger_head); commit`,
    );
  await touch(1);
  const first = ledger(() => file.newest());
  await first.start();
  await waited(3000, () => first.guard.state.is === 'open');
  t.match(first.guard.state, {
    is: 'closed',
    why: 'frozen',
    text: /the gateway itself has a checkpoint of 2 heads.*not the same record/,
  });
  await first.stop();
  // The twin: put back as it was, it serves.
  await touch(-1);
  await sql.query('delete from ledger_freeze');
  const second = ledger(() => file.newest());
  t.teardown(() => second.stop());
  await second.start();
  await waited(20_000, () => second.guard.state.is === 'open');
  t.match(second.guard.state, { is: 'open' });
});

test('what waits for its seal has a bound: beyond it nothing begins, and what is under way ends', async (t) => {
  const { sql, database, write, seal, file, ledger } = await setUp(t, { unsealedEntriesMax: 20 });
  // Nobody seals.
  await holdLead(t, sql.migrateUrl);
  await file.keep((await seal()).note);
  const { guard, start, stop } = ledger(() => file.newest());
  await start();
  t.teardown(stop);
  const turns = async (hasRoom: boolean): Promise<boolean> => {
    for (const end = performance.now() + 30_000; performance.now() < end; await delay(20))
      try {
        guard.requireRoom();
        if (hasRoom) return true;
      } catch {
        if (!hasRoom) return true;
      }
    return false;
  };
  for (let i = 0; i < 15; i += 1) await write();
  await delay(300);
  t.doesNotThrow(() => guard.requireRoom(), 'an honest backlog is none');
  for (let i = 0; i < 10; i += 1) await write();
  t.ok(await turns(false), 'full');
  t.throws(() => guard.requireRoom(), { code: 'unavailable', message: 'the record is behind; try again in a moment' });
  t.doesNotThrow(() => guard.require(), 'and what is under way is served');
  const alerts = (): Promise<readonly unknown[]> =>
    sql.query("select severity from alert where kind = 'ledger.behind'");
  for (const end = performance.now() + 30_000; (await alerts()).length === 0 && performance.now() < end; )
    await delay(20);
  t.same(await alerts(), [{ severity: 'critical' }]);

  // An entry that nobody can read stands first, and does not count as waiting.
  await database.withSystem((tx) => quarantineFirst(tx, 'a test'));
  t.equal((await database.withSystem(look)).unsealed, 24);
  await file.keep((await seal()).note);
  t.equal((await database.withSystem(look)).unsealed, 0);
  t.ok(await turns(true), 'sealed: it goes on by itself');
});

test('which operations add entries that can be done without: all that begin something, none that ends or renews', async (t) => {
  const begins = (Object.keys(edgeToWarden) as (keyof typeof edgeToWarden)[]).filter(beginsAnEntry);
  for (const op of [
    'login.attempt',
    'upload.open',
    'download.open',
    'download.grant',
    'tree.list',
    'console.run',
  ] as const)
    t.ok(begins.includes(op), op);
  for (const op of [
    'lease.renew',
    'session.end',
    'upload.seal-extent',
    'upload.close',
    'upload.interrupt',
    'download.close',
  ] as const)
    t.notOk(begins.includes(op), op);
});

test('another warden seals while this one examines the witness: that is no reason to freeze', async (t) => {
  const { sql, keys, file, seal, ledger } = await setUp(t);
  generationsOf(keys).learn(sealedAgain);
  await holdLead(t, sql.migrateUrl);
  await file.keep((await seal()).note);
  const { guard, start, stop } = ledger(async () => {
    await file.keep((await seal()).note);
    return file.newest();
  });
  await start();
  await stop();
  t.same(guard.state, { is: 'open' });
  t.same(await sql.query('select text from ledger_freeze'), []);
  t.equal(generationsOf(keys).newest(sealedAgain), 7, 'and what is known of seals stays known');
});

test('twin: a witness that still has more than the database', async (t) => {
  const { sql, database, keys, signing, file, write, seal, ledger } = await setUp(t);
  generationsOf(keys).learn(sealedAgain);
  await holdLead(t, sql.migrateUrl);
  await file.keep((await seal()).note);
  await write();
  // Witnessed, and then lost.
  const lost = database.withSystem(async (tx) => {
    await file.keep((await sealWithin(tx, signing)).note);
    throw new Error('lost');
  });
  await t.rejects(lost, /lost/);
  const { guard, start, stop } = ledger(() => file.newest());
  await start();
  await stop();
  t.match(guard.state, { is: 'closed', why: 'frozen', text: /it is older than what was witnessed/ });
  t.match(await sql.query('select why, text from ledger_freeze'), [{ why: 'behind' }]);
  t.equal(
    generationsOf(keys).newest(sealedAgain),
    0,
    'what is known of seals is of the record that is lost: who releases this one is not measured by it',
  );
});

test('a witness that remembers nothing of a witnessed record: nothing is served until it has a checkpoint again', async (t) => {
  const { sql, file, write, ledger } = await setUp(t);
  const first = ledger(() => file.newest());
  await first.start();
  await write();
  const state = async () =>
    (
      await sql.query<{ witnessed: number; checkpoint: string }>(
        'select witnessed_size::int as witnessed, checkpoint from ledger_state',
      )
    )[0];
  for (const end = Date.now() + 20_000; ((await state())?.witnessed ?? 0) === 0 && Date.now() < end; ) await delay(20);
  await first.stop();
  t.same(first.guard.state, { is: 'open' }, 'twin: an empty witness is no fault while nothing was ever witnessed');
  t.ok(((await state())?.witnessed ?? 0) > 0, 'it is on record that somebody has it');

  // The mount is missing: what is in the database may be a restored copy.
  let held: string | undefined;
  const blind = ledger(() => Promise.resolve(held));
  await t.rejects(blind.start(), {
    code: 'unavailable',
    message: /the witness local has no checkpoint, though \d+ heads of this record were witnessed/,
  });
  t.match(blind.guard.state, { is: 'closed', why: 'unsure' });
  t.throws(() => blind.guard.require(), { code: 'unavailable' });
  await blind.stop();

  held = (await state())?.checkpoint;
  const seeded = ledger(() => Promise.resolve(held));
  await seeded.start();
  t.same(seeded.guard.state, { is: 'open' }, 'twin: the newest checkpoint was put there');
  held = undefined;
  await write();
  await delay(200);
  t.same(
    seeded.guard.state,
    { is: 'open' },
    'and what this process has compared itself needs no witness to tell it again',
  );
  await seeded.stop();
});

test('a checkpoint that an earlier run left unwitnessed reaches the witness at the start, without an alarm: no warden ran', async (t) => {
  const { sql, file, seal, ledger } = await setUp(t);
  await file.keep((await seal()).note);
  const { checkpoint } = await seal();
  const leave = (): Promise<unknown> =>
    sql.query("update ledger_state set unwitnessed_since = clock_timestamp() - interval '1 hour'");
  const alarms = async (): Promise<number> =>
    (await sql.query("select 1 from alert where kind = 'ledger.late'")).length;
  await leave();
  const full = ledger(
    () => file.newest(),
    () => Promise.reject(new Error('full')),
  );
  await full.start();
  t.match(full.guard.state, { is: 'closed', why: 'late' }, 'twin: a witness that does not take it');
  for (const end = Date.now() + 20_000; (await alarms()) === 0 && Date.now() < end; ) await delay(20);
  t.equal(await alarms(), 1, 'that is an alarm');
  await full.stop();
  await sql.query('delete from alert');

  await leave();
  const again = ledger(() => file.newest());
  await again.start();
  t.same(again.guard.state, { is: 'open' }, 'it serves as soon as it has started');
  t.ok(parseNote((await file.newest()) ?? '').checkpoint.size >= checkpoint.size, 'and the witness has it');
  t.equal(await alarms(), 0);
  await again.stop();
});

test('nothing is sealed on a database that was exchanged since it was compared', async (t) => {
  const { database, signing, sql, write, seal, round } = await setUp(t);
  const { checkpoint } = await seal();
  const compared = { era: 1, heads: checkpoint.size, root: checkpoint.root };
  const sealed = async (): Promise<unknown> => (await sql.query('select number from ledger_state'))[0];
  const fresh = (): Sealer => new Sealer(database, createLogger({ log: { level: 'error', pretty: false } }, 'test'));
  const beat = { isSignDue: false, now: Date.now() };
  const before = await sealed();
  await write();
  for (const other of [
    { ...compared, heads: compared.heads + 1 },
    { ...compared, era: 2 },
    { ...compared, root: Buffer.alloc(32).toString('base64') },
  ])
    await t.rejects(
      fresh().round(signing, { ...beat, compared: other }),
      { code: 'unavailable' },
      JSON.stringify(other),
    );
  t.same(await sealed(), before, 'nothing was sealed');
  const slow = fresh();
  await round();
  t.match(
    await slow.round(signing, { ...beat, compared, isSignDue: true }),
    { sealed: 0 },
    'twin: the one that was compared, which has grown',
  );
  await seal();
  await write();
  t.equal(await slow.round(signing, beat), undefined, 'another warden was faster: proved first');
  t.match(await slow.round(signing, beat), { sealed: 1 }, 'then it goes on');
});

test('a warden that does not seal knows what others have sealed', async (t) => {
  const { sql, file, seal, ledger } = await setUp(t);
  await holdLead(t, sql.migrateUrl);
  await file.keep((await seal()).note);
  const { guard, start, stop } = ledger(() => file.newest());
  await start();
  const { checkpoint } = await seal();
  for (const end = Date.now() + 20_000; guard.known?.heads !== checkpoint.size && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.match(guard.known, { heads: checkpoint.size, root: checkpoint.root });
  await stop();
});

test('a connection that leads to an earlier state of the record is not used', (t) => {
  const known: Known = { era: 1, heads: 5, root: '', identity: '7/1', at: 0 };
  const guard = new LedgerGuard();
  guard.open();
  guard.learn(known);
  guard.admit({ identity: '7/1', era: 1, heads: 5 }, known);
  guard.admit({ identity: '7/1', era: 1, heads: 6 }, known);
  guard.learn({ ...known, heads: 7 });
  // Asked before the seventh head existed.
  guard.admit({ identity: '7/1', era: 1, heads: 6 }, known);
  t.equal(guard.state.is, 'open', 'the same, or more');
  for (const seen of [
    { identity: '7/1', era: 1, heads: 4 },
    { identity: '7/2', era: 1, heads: 9 },
    { identity: '8/1', era: 1, heads: 9 },
    { identity: '7/1', era: 2, heads: 9 },
  ]) {
    guard.open();
    t.throws(() => guard.admit(seen, known), { code: 'unavailable' }, JSON.stringify(seen));
    t.match(guard.state, { is: 'closed', why: 'unsure' });
    guard.close('frozen', 'x');
    guard.admit(seen, known);
    t.match(
      guard.state,
      { is: 'closed', why: 'frozen' },
      'once it is frozen: operators must reach the warden through it; nothing else opens',
    );
  }
  t.end();
});

test('the newest checkpoint of a witness is the newest, whoever wrote last', async (t) => {
  const { file, seal, round } = await setUp(t);
  const notes = [(await seal()).note, (await seal()).note, (await seal()).note];
  const again = (await round({ isSignDue: true }))?.note ?? '';
  t.equal(await file.newest(), undefined);
  for (const note of [notes[0], notes[2], again, notes[1]]) await file.keep(note ?? '');
  t.equal(await file.newest(), again, 'signed again last, though a slower warden wrote behind it');
  const bulk = Array.from({ length: 300 }, () => notes[0] ?? '');
  for (const note of [...bulk, notes[2] ?? '']) await file.keep(note);
  t.equal(await file.newest(), notes[2], 'in a file that is longer than what is read of it');
});

test('an era begins with a checkpoint of where it continues, and nothing is sealed before a witness has it', async (t) => {
  const { sql, database, signing, file, write, seal, ledger } = await setUp(t);
  const { checkpoint } = await seal();
  // As a release leaves it. That two operators signed it is tested in test/attack/restored-database.
  await sql.query('set session_replication_role = replica');
  await sql.query(
    `insert into ledger_freeze (id, why, text, facts, released_at, era, change_id) values (gen_random_uuid(), 'clock', 'x', '{"heads": 1}', now(), 2, gen_random_uuid())`,
  );
  await sql.query('update ledger_state set era = 2');
  await write();
  const { guard, start, stop } = ledger(
    () => Promise.resolve(undefined),
    () => Promise.reject(new Error('full')),
  );
  await start();
  const state = async () =>
    (await sql.query<{ number: number; checkpoint: string }>('select number::int, checkpoint from ledger_state'))[0];
  for (const end = Date.now() + 20_000; !/^era 2$/m.test((await state())?.checkpoint ?? '') && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const begun = await state();
  t.match(signing.signer.open(begun?.checkpoint ?? ''), {
    era: 2,
    size: checkpoint.size,
    root: checkpoint.root,
  });
  t.equal(begun?.number, 1, 'nothing was sealed: the witness does not take it');
  t.equal(guard.state.is, 'open');
  await stop();
  const other = ledger(() => Promise.resolve(undefined));
  await other.start();
  for (const end = Date.now() + 20_000; (await state())?.number === 1 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(((await state())?.number ?? 0) > 1, 'twin: it takes it, and the era goes on');
  await other.stop();
  await database.withSystem(async () => {});
  t.match(signing.signer.open((await file.newest()) ?? ''), { era: 2 });
});
