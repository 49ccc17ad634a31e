// The sealer can prove what it signs: whatever the owner of the database does to its rows, the record that was signed
// continues as it was, or not at all.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { originOf, parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { parseHeadLines } from '../../server/domain/ledger/leaf.ts';
import { TreeMap } from '../../server/domain/ledger/map.ts';
import { emptyFrontier } from '../../server/domain/ledger/merkle.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { sha256 } from '../../server/warden/ledger/hashing.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { roundMax, type Signing, sealRound, takenOf } from '../../server/warden/ledger/seal.ts';
import { lockState, markWitnessed } from '../../server/warden/ledger/seal-queries.ts';
import { type Beat, type Sealed, Sealer } from '../../server/warden/ledger/sealer.ts';
import { openNote, Signatures } from '../../server/warden/ledger/signatures.ts';
import { loadStanding, RecordDiverged, type Standing } from '../../server/warden/ledger/standing.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { newCustomer, sealWithin, writeEntries } from '../support/record.ts';

const wish = { most: takenOf(roundMax), isSigned: () => true };

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 20 });
  const keys = createKeyRing(config);
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const signing: Signing = await database.withSystem(async (tx) => {
    const origin = originOf((await installationId(tx)).id);
    return { origin, signer: keys.checkpointSigner(origin) };
  });
  const leader = () => {
    const one = new Sealer(database, log);
    return (beat: Partial<Beat> = {}): Promise<Sealed | undefined> =>
      one.round(signing, { isSignDue: false, now: Date.now(), ...beat });
  };
  const [acme, bank] = [await newCustomer(sql, 'acme'), await newCustomer(sql, 'bank')];
  const write = (customer: string | null = acme): Promise<void> => writeEntries(sql, customer, 1);
  /** As the owner of the database, whom no trigger stops. */
  const own = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    for (const statement of statements) await sql.query(statement);
    await sql.query('reset session_replication_role');
  };
  const note = async (): Promise<string> =>
    (await sql.query<{ checkpoint: string }>('select checkpoint from ledger_state'))[0]?.checkpoint ?? '';
  const standing = (): Promise<Standing> =>
    database.withSystem(async (tx) => {
      const state = await lockState(tx);
      const signed = openNote(signing, state.checkpoint);
      return loadStanding(tx, state, signed === undefined ? [] : [signed]);
    });
  /** Committed, and the warden is killed before it signs. */
  const sealAndDie = (): Promise<{ readonly sealed: number }> => database.withSystem((tx) => sealWithin(tx, signing));
  return {
    sql,
    config,
    keys,
    database,
    signing,
    directory,
    leader,
    acme,
    bank,
    write,
    own,
    note,
    standing,
    sealAndDie,
  };
}
type Scene = Awaited<ReturnType<typeof setUp>>;

/** Some heads of three trees: acme has more than a block of entries. */
async function someRecord({ sql, acme, bank, leader }: Scene) {
  const seal = leader();
  for (const [customer, count] of [
    [acme, 3],
    [bank, 2],
    [null, 1],
    [acme, 260],
    [bank, 1],
  ] as const) {
    await writeEntries(sql, customer, count);
    await seal();
  }
  return seal;
}

/** The rows of the record as they are, and a way to put them back. */
async function keep({ sql, own }: Scene): Promise<() => Promise<void>> {
  const tables = ['ledger_tree', 'ledger_head', 'ledger_block', 'ledger_sealed', 'ledger_state', 'ledger_fresh'];
  const columns = new Map<string, string>();
  for (const table of tables) {
    const rows = await sql.query<{ name: string }>(
      `select column_name as name from information_schema.columns where table_name = $1 and table_schema = 'public' and is_generated = 'NEVER' order by ordinal_position`,
      [table],
    );
    columns.set(table, rows.map((row) => row.name).join(', '));
    await sql.query(`drop table if exists kept_${table}`);
    await sql.query(`create table kept_${table} as select ${columns.get(table)} from ${table}`);
  }
  return () =>
    own(
      ...tables.flatMap((table) => [
        `delete from ${table}`,
        `insert into ${table} (${columns.get(table)}) overriding system value select ${columns.get(table)} from kept_${table}`,
      ]),
    );
}

const flip = (column: string): string => `${column} = set_byte(${column}, 0, get_byte(${column}, 0) # 1)`;
const newest = 'position = (select max(position) from ledger_head)';

test('rows that differ from what was signed: the running sealer, and one that starts, stop and name them', async (t) => {
  const scene = await setUp(t);
  const { sql, acme, write, own, leader } = scene;
  const running = await someRecord(scene);
  const tree = `tree = '${acme}'`;
  const other = '99999999-0000-4000-8000-000000000000';
  const tampers: Readonly<Record<string, readonly [string[], RegExp]>> = {
    'a frontier rewritten': [[`update ledger_tree set ${flip('frontier')} where ${tree}`], new RegExp(acme)],
    'a size rewritten': [
      [`update ledger_tree set size = 256, frontier = substr(frontier, 1, 32) where ${tree}`],
      new RegExp(acme),
    ],
    'a size that does not fit its frontier': [
      [`update ledger_tree set size = size + 1 where ${tree}`],
      new RegExp(acme),
    ],
    'a row removed': [[`delete from ledger_tree where ${tree}`], new RegExp(acme)],
    'a row added': [
      [`insert into ledger_tree (tree, size, frontier, head) values ('${other}', 1, sha256('x'), 0)`],
      new RegExp(other),
    ],
    'the entries of a customer dropped, and its tree begun anew': [
      [
        `delete from ledger_sealed where ${tree}`,
        `delete from ledger_block where ${tree}`,
        `delete from ledger_tree where ${tree}`,
      ],
      new RegExp(acme),
    ],
    'the number of entries': [['update ledger_state set number = number + 5'], /says that \d+ entries were sealed/],
    'the newest head': [[`update ledger_head set number = number + 1 where ${newest}`], /head/],
    'the newest head and the number with it': [
      [`update ledger_head set number = number + 1 where ${newest}`, 'update ledger_state set number = number + 1'],
      /head/,
    ],
    'the secret of the newest head': [[`update ledger_head set ${flip('secret')} where ${newest}`], /head/],
    'the map root of the newest head': [[`update ledger_head set ${flip('map_root')} where ${newest}`], /head/],
    'the frontier of the heads log': [
      [`update ledger_tree set ${flip('frontier')} where tree = 'ffffffff-ffff-ffff-ffff-ffffffffffff'`],
      /heads log|ffffffff/,
    ],
  };
  for (const [what, [statements, names]] of Object.entries(tampers)) {
    const before = await scene.note();
    await write();
    const undo = await keep(scene);
    await own(...statements);
    // The running sealer notices a change in a tree that does not grow when an epoch begins.
    const asked = { isEpochAsked: true, now: Date.now() + 10_000 };
    await t.rejects(running(asked), { name: 'RecordDiverged', message: names }, `${what}: the one that runs`);
    await t.rejects(running(asked), { name: 'RecordDiverged', message: names }, 'and it does not come to believe it');
    await t.rejects(leader()(asked), { name: 'RecordDiverged', message: names }, 'the one that starts');
    t.equal(await scene.note(), before, 'nothing was signed');
    t.equal((await sql.query('select 1 from ledger_fresh')).length, 1, 'nothing was sealed');
    await undo();
    t.match(await running(asked), { sealed: 1 }, 'twin: as it was, it goes on');
    t.equal(await leader()(), undefined, 'and whoever starts proves it');
  }
});

test('a record that was rewritten consistently, with a head of its own: no sealer continues from it', async (t) => {
  const scene = await setUp(t);
  const { sql, database, acme, write, own, leader, standing } = scene;
  const running = await someRecord(scene);
  const undo = await keep(scene);
  const signed = await standing();
  // Everything fits, as the owner of the database can make it with this very code; only no key has signed it.
  const forge = async (forged: Standing): Promise<void> => {
    await write();
    await database.withSystem((tx) => sealRound(tx, forged, wish));
  };
  const without = new Map([...signed.trees].filter(([tree]) => tree !== acme));
  const rest = [...without].map(([tree, { frontier, root }]) => ({ tree, size: frontier.size, root }));
  await own(
    `delete from ledger_sealed where tree = '${acme}'`,
    `delete from ledger_block where tree = '${acme}'`,
    `delete from ledger_tree where tree = '${acme}'`,
  );
  await forge({ ...signed, trees: without, map: TreeMap.empty(sha256, signed.map.secret).with(rest) });
  t.match(
    await sql.query('select size::int from ledger_tree where tree = $1', [acme]),
    [{ size: 1 }],
    'the tree begins anew',
  );
  t.equal(await running(), undefined, 'the one that runs finds a head that it does not know');
  await t.rejects(running(), { name: 'RecordDiverged', message: new RegExp(acme) }, 'and does not believe it');
  await t.rejects(leader()(), { name: 'RecordDiverged', message: new RegExp(acme) }, 'nor does the one that starts');

  await undo();
  await own(`update ledger_sealed set bytes = bytes + 1 where tree = '${acme}' and position = 100`);
  await forge(await standing());
  t.equal(
    (await running())?.sealed,
    0,
    'a row before the last checkpoint is for the verifier to find: what is signed is the record as it was',
  );
  await undo();
  await write();
  t.match(await leader()(), { sealed: 1 }, 'twin: the record that was signed');
});

test('a head that was committed and not signed is signed by the next sealer, when it is what a sealer made', async (t) => {
  const scene = await setUp(t);
  const { sql, acme, bank, write, own, leader, note, sealAndDie } = scene;
  const size = async (): Promise<number> => parseNote(await note()).checkpoint.size;
  await write();
  await sealAndDie();
  t.equal(
    (await sql.query('select 1 from ledger_state where checkpoint is not null')).length,
    0,
    'killed at the very first head',
  );
  t.match(await leader()(), { sealed: 0, checkpoint: { size: 1 } }, 'the next one signs it');
  const running = await someRecord(scene);
  const before = await size();

  await writeEntries(sql, acme, 3);
  await writeEntries(sql, bank, 2);
  await sealAndDie();
  await write();
  t.equal(await size(), before, 'killed between commit and signature');
  const undo = await keep(scene);
  const changes = {
    'an entry of it changed': `update ledger_sealed set bytes = bytes + 1 where number = (select max(number) from ledger_sealed)`,
    'an entry of it taken out': `delete from ledger_sealed where number = (select max(number) from ledger_sealed)`,
    'an entry put in': `insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, public, sensitive) select number + 1, tree, position + 1, salt, leaf, id + 1, at, kind, observer, public, sensitive from ledger_sealed order by number desc limit 1`,
    'its lines changed': `update ledger_head set trees = '' where ${newest}`,
    'its epoch changed': `update ledger_head set epoch = position where ${newest}`,
  };
  for (const [what, statement] of Object.entries(changes)) {
    await own(statement);
    await t.rejects(leader()(), { name: 'RecordDiverged' }, what);
    await undo();
  }
  t.match(
    await leader()(),
    { sealed: 0, checkpoint: { size: before + 1 } },
    'twin: as it was left, it is signed first',
  );
  t.equal(await running(), undefined, 'a warden that ran meanwhile proves it');
  t.match(await running(), { sealed: 1, checkpoint: { size: before + 2 } }, 'and seals on top of it');

  // Without the note of the database, the sealer continues from the note of a witness.
  const { era, size: known, root } = parseNote(await note()).checkpoint;
  const vouched = [{ by: 'the witness local', era, size: known, root }];
  await write();
  await sealAndDie();
  await own('update ledger_state set checkpoint = null');
  t.match(await leader()({ vouched }), { sealed: 0, checkpoint: { size: known + 1 } });
});

test('for one era and size there is one root: what a process or a witness knows to be signed is not contradicted', async (t) => {
  const scene = await setUp(t);
  const { signing, bank, write, leader, note } = scene;
  const running = await someRecord(scene);
  const undo = await keep(scene);
  await write();
  const last = await running();
  if (last === undefined) throw new Error('nothing sealed');
  const { era, size, root } = last.checkpoint;
  // The database is set back by one head, and something else happens in it.
  await undo();
  await write(bank);
  await t.rejects(running(), { code: 'unavailable' }, 'the process that signed it sees that it is another database');
  await t.rejects(running(), { name: 'RecordDiverged', message: /this warden has a checkpoint of \d+ heads/ });
  const vouched = [{ by: 'the witness local', era, size, root }];
  await t.rejects(
    leader()({ vouched }),
    { name: 'RecordDiverged', message: /the witness local has a checkpoint/ },
    'and a new one hears it from a witness',
  );
  t.not(parseNote(await note()).checkpoint.size, size, 'nothing was signed');
  t.match(await leader()(), { checkpoint: { size } }, 'twin: whom nobody tells anything believes the database');

  const standing = await scene.standing();
  const mine = new Signatures();
  t.match(mine.sign(signing, standing, Date.now() * 1000).checkpoint, { era: 1, size });
  t.match(mine.sign(signing, standing, Date.now() * 1000).checkpoint, { era: 1, size }, 'twin: the same again');
  const elsewhere = { ...standing, log: { size, roots: standing.log.roots.map(() => sha256(Buffer.from('x'))) } };
  t.throws(() => mine.sign(signing, elsewhere, 0), RecordDiverged, 'another root');
  t.throws(() => mine.sign(signing, { ...standing, log: emptyFrontier }, 0), RecordDiverged, 'a step back');
  t.throws(
    () => mine.learn({ by: 'a witness', era: 1, size, root: 'x' }),
    RecordDiverged,
    'somebody else has another root',
  );
  t.match(
    mine.sign(signing, { ...standing, era: 2, log: emptyFrontier }, 0).checkpoint,
    { era: 2, size: 0 },
    'twin: another era goes on where it goes on',
  );
});

test('two wardens seal by turns: each proves what the other has left', async (t) => {
  const scene = await setUp(t);
  const { acme, bank, write, leader, own, sql } = scene;
  const [one, two] = [leader(), leader()];
  for (let i = 0; i < 4; i += 1)
    for (const [who, customer] of [
      [one, acme],
      [two, bank],
    ] as const) {
      await write(customer);
      const done = (await who()) ?? (await who());
      t.equal(done?.sealed, 1, `turn ${i}`);
    }
  // A note that is not the newest does not take its place, and one that somebody has put there is none.
  await own(`update ledger_state set checkpoint = 'nonsense'`);
  t.match(await one(), undefined, 'another warden was faster');
  t.match(await one(), { sealed: 0, checkpoint: { size: 8 } }, 'signed anew');
  t.match(await sql.query('select size::int from ledger_tree where tree = $1', [acme]), [{ size: 4 }]);
});

test('an era begins with a checkpoint of where it continues, also when the warden was killed meanwhile', async (t) => {
  const scene = await setUp(t);
  const { write, leader, own, note } = scene;
  await someRecord(scene);
  const before = parseNote(await note()).checkpoint;
  const old = await note();
  await own('update ledger_state set era = 2');
  await write();
  const begun = await leader()();
  t.match(begun, { sealed: 0, checkpoint: { era: 2, size: before.size, root: before.root } });
  // Signed, and killed before it was stored.
  await own(`update ledger_state set checkpoint = '${old.replaceAll("'", "''")}'`);
  t.match(
    await leader()(),
    { sealed: 0, checkpoint: { era: 2, size: before.size, root: before.root } },
    'the same once more',
  );
  t.match(await leader()(), { sealed: 1, checkpoint: { era: 2, size: before.size + 1 } }, 'twin: then it goes on');
});

test('an epoch begins with the first head, within a day, when somebody asks, and when two trees would have one slot', async (t) => {
  const scene = await setUp(t);
  const { sql, acme, bank, write, leader, own, database, standing } = scene;
  const seal = await someRecord(scene);
  const heads = (): Promise<readonly { position: number; epoch: number; trees: string; secret: Buffer }[]> =>
    sql.query('select position::int, epoch::int, trees, secret from ledger_head order by position');
  const last = async () => (await heads()).at(-1) ?? { position: -1, epoch: -1, trees: '', secret: Buffer.alloc(0) };
  t.same([...new Set((await heads()).map((head) => head.epoch))], [0], 'the first head of all, and none since');
  await own('update ledger_state set epoch_asked_at = now()');
  const asked = { isEpochAsked: true };
  const [first] = await sql.query<{ ms: number }>(
    'select (extract(epoch from max(at)) * 1000)::float8 as ms from ledger_head where epoch = position',
  );
  t.equal(await seal({ ...asked, now: (first?.ms ?? 0) + 4000 }), undefined, 'twin: not again at once');
  t.match(await seal({ ...asked, now: Date.now() + 6000 }), { sealed: 0 }, 'nothing grew: a head for the epoch alone');
  const begun = await last();
  t.equal(begun.epoch, begun.position);
  t.same(
    parseHeadLines(begun.trees)?.map((one) => one.tree),
    ['00000000-0000-0000-0000-000000000000', acme, bank].sort(),
    'it names all trees',
  );
  t.same(
    await sql.query('select epoch_asked_at from ledger_state'),
    [{ epoch_asked_at: null }],
    'nobody asks any more',
  );
  await write();
  await seal();
  t.match(await last(), { epoch: begun.position }, 'twin: without being asked');
  t.ok((await last()).secret.equals(begun.secret), 'the secret of the epoch');
  t.match(parseHeadLines((await last()).trees), [{ tree: acme }], 'what grew, and nothing else');
  await write();
  t.match(await seal({ now: Date.now() + 86_400_000 }), { sealed: 1 });
  const daily = await last();
  t.equal(daily.epoch, daily.position, 'the next day');
  t.notOk(daily.secret.equals(begun.secret), 'with a secret of its own');

  // A hash by which the tree of a new customer has the slot of another one.
  const now = await standing();
  const late = await newCustomer(sql, 'late');
  const bytes = (tree: string): Buffer =>
    Buffer.concat([
      Buffer.from('cofferdam ledger slot/2'),
      now.map.secret,
      Buffer.from(tree.replaceAll('-', ''), 'hex'),
    ]);
  const colliding = (data: Uint8Array): Uint8Array =>
    sha256(Buffer.from(data).equals(bytes(late)) ? bytes(acme) : data);
  const rows = [...now.trees].map(([tree, { frontier, root }]) => ({ tree, size: frontier.size, root }));
  await write(late);
  const round = await database.withSystem((tx) =>
    sealRound(tx, { ...now, map: TreeMap.empty(colliding, now.map.secret).with(rows) }, wish),
  );
  t.match(round, { sealed: 1, isEpoch: true }, 'another secret is drawn');
  t.match(await leader()(), { sealed: 0 }, 'and it is a record like any other');
});

test('what was witnessed once is not taken back', async (t) => {
  const { sql, database, write, leader } = await setUp(t);
  await write();
  await leader()();
  const mark = (era: number, size: number): Promise<void> =>
    database.withSystem((tx) => markWitnessed(tx, { era, size }, `origin\n${size}\nroot\nera ${era}\ntime\n`));
  const marked = (): Promise<unknown> =>
    sql.query(
      "select witnessed_size::int as size, split_part(witnessed_checkpoint, E'\\n', 2) as note from ledger_state",
    );
  await mark(1, 3);
  await t.rejects(sql.query('update ledger_state set witnessed_size = 0'), /only goes forward/);
  await mark(1, 2);
  t.same(await marked(), [{ size: 3, note: '3' }], 'who led before hears late of what it handed over');
  await mark(1, 4);
  t.same(await marked(), [{ size: 4, note: '4' }], 'twin: forward');
  await mark(2, 2);
  t.same(
    await marked(),
    [{ size: 4, note: '2' }],
    'an era that began further back is marked from its first checkpoint on',
  );
});

test('a gateway over a rewritten tree serves nobody, says why, and signs nothing', async (t) => {
  const scene = await setUp(t);
  const { sql, config, keys, directory, acme, write, own } = scene;
  await someRecord(scene);
  const file = new FileWitness('local', true, join(directory, 'witness'));
  const start = async () => {
    const guard = new LedgerGuard();
    const one = new Ledger({
      config,
      url: sql.wardenUrl,
      keys,
      guard,
      witnesses: [file],
      log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'),
    });
    await one.start();
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= one.stop());
    t.teardown(stop);
    return { guard, stop };
  };
  const good = await start();
  await write();
  for (
    const end = Date.now() + 30_000;
    (await sql.query('select 1 from ledger_fresh')).length > 0 && Date.now() < end;
  )
    await delay(20);
  t.same(good.guard.state, { is: 'open' }, 'twin: as it is, it serves');
  await good.stop();
  const before = await scene.note();
  await own(`update ledger_tree set ${flip('frontier')} where tree = '${acme}'`);
  const bad = await start();
  t.match(bad.guard.state, { is: 'closed', why: 'frozen', text: new RegExp(acme) });
  t.throws(() => bad.guard.require(), { code: 'unavailable' });
  t.match(await sql.query('select why, text from ledger_freeze'), [{ why: 'diverged', text: new RegExp(acme) }]);
  t.match(await sql.query("select severity from alert where kind = 'ledger.frozen'"), [{ severity: 'critical' }]);
  t.equal(await scene.note(), before, 'nothing was signed');
  await bad.stop();
});
