// An earlier state of a row, put back with the seal that it had then, does not become valid by anything honest that is
// done to the row afterwards.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { brokenSeals } from '../../server/warden/seals/broken-seals.ts';
import { declareChange, declareNew } from '../../server/warden/seals/declared.ts';
import { generationsOf } from '../../server/warden/seals/generations.ts';
import { type RowName, readRows, type SealedRow } from '../../server/warden/seals/seal-queries.ts';
import { firstBroken, sealing } from '../../server/warden/seals/seals.ts';
import { sealOnce } from '../support/record.ts';
import { keptSeal, startSealBench } from '../support/seal-bench.ts';

const behalf = { maker: 'operator', change: () => null } as const;

async function setUp(t: Test) {
  const { sql, warden } = await startSealBench(t);
  const { database, keys } = warden;
  const customer = randomUUID();
  const name = { kind: 'folder', id: randomUUID() } as const satisfies RowName;
  const facts = {
    name: 'deposit',
    direction: 'deposit',
    publish_rule: 'on-close',
    marker: '.done',
    settle_ms: 0,
    read_back: false,
    replace_allowed: true,
    directories_allowed: false,
    window_days: null,
    reads_max: null,
    retention_days: 10,
  };
  await database.withSystem((tx) =>
    sealing(tx, warden, behalf, async () => {
      declareNew(
        tx,
        { kind: 'customer', id: customer },
        { name: 'acme', allowed_proofs: null, is_self_test: false, former_names: [] },
      );
      await tx.query('insert into customer (id, name) values ($1, $2)', [customer, 'acme']);
      declareNew(tx, name, { customer_id: customer, ...facts });
      await tx.query(
        `insert into folder (id, customer_id, name, direction, settle_ms, replace_allowed, directories_allowed, retention_days)
         values ($1, $2, 'deposit', 'deposit', 0, true, false, 10)`,
        [name.id, customer],
      );
    }),
  );
  /** The work of somebody else, though it is waited for here: none of it runs inside this transaction. */
  const another = AsyncLocalStorage.snapshot();
  type Column = 'replace_allowed' | 'retention_days';
  const set = (column: Column, value: unknown, between: () => Promise<unknown> = async () => {}): Promise<void> =>
    database.withSystem((tx) =>
      sealing(tx, warden, behalf, async () => {
        await declareChange(tx, [name], { [column]: value });
        await another(between);
        await tx.query(`update folder set ${column} = $2 where id = $1`, [name.id, value]);
      }),
    );
  const isGood = async (): Promise<boolean> =>
    (await database.withSystem((tx) => firstBroken(tx, keys, [name]))) === undefined;
  const row = async (): Promise<SealedRow | undefined> => (await database.withSystem((tx) => readRows(tx, [name])))[0];
  const make = (title: string): Promise<void> =>
    database.withSystem((tx) =>
      sealing(tx, warden, behalf, async () => {
        const id = randomUUID();
        declareNew(
          tx,
          { kind: 'customer', id },
          { name: title, allowed_proofs: null, is_self_test: false, former_names: [] },
        );
        await tx.query('insert into customer (id, name) values ($1, $2)', [id, title]);
      }),
    );
  const alarms = async (): Promise<number> =>
    (
      await sql.query<{ n: number }>(
        "select coalesce(sum(count), 0)::int as n from alert where kind = 'row.broken-seal'",
      )
    )[0]?.n ?? 0;
  return { sql, warden, name, set, isGood, row, make, alarms };
}

test('an honest change of another fact does not make an old state valid', async (t) => {
  const { sql, name, set, isGood, row, alarms } = await setUp(t);
  const putBack = await keptSeal(sql, 'folder', name.id);
  await set('replace_allowed', false);
  t.ok(await isGood(), 'narrowed');
  const back = await keptSeal(sql, 'folder', name.id);
  await sql.query('update folder set replace_allowed = true where id = $1', [name.id]);
  await putBack();
  t.notOk(await isGood(), 'the wide state with the seal that it had is seen');
  await t.rejects(
    set('retention_days', 20),
    { code: 'denied', message: /it was altered before/ },
    'an honest change of another fact',
  );
  t.notOk(await isGood(), 'it is seen still');
  t.match((await row())?.facts, /"retention_days": 10/, 'nothing was done');
  t.equal(await alarms(), 1, 'and it is an alarm');
  await sql.query('update folder set replace_allowed = false where id = $1', [name.id]);
  await back();
  await set('retention_days', 20);
  t.ok(await isGood(), 'the twin: the state that the warden wrote last is changed');
  t.match(await row(), { generation: 3, facts: /"replace_allowed": false/ });
});

test('of two changes at the same moment one is done, and the other is told that it is too late', async (t) => {
  const { set, isGood, row, alarms } = await setUp(t);
  const late = set('retention_days', 20, () => set('replace_allowed', false));
  await t.rejects(late, { code: 'conflict', message: /changed by somebody else at the same moment/ });
  t.match(await row(), { generation: 2, facts: /"retention_days": 10.*"replace_allowed": false/ }, 'the first one');
  const same = set('retention_days', 20, () => set('retention_days', 20));
  await t.rejects(
    same,
    { code: 'conflict' },
    'even when both say the same: two states of one generation would be one too many',
  );
  t.match(await row(), { generation: 3, facts: /"retention_days": 20/ });
  t.ok(await isGood());
  t.equal(await alarms(), 0, 'neither is an alarm');
});

test('the seal of a transaction that was undone is invalid, whether or not its generation was used again', async (t) => {
  const { sql, warden, name, set, isGood, row, alarms } = await setUp(t);
  await set('retention_days', 20);
  /** Made by the owner of the database: what was written and sealed is kept, and the transaction fails. */
  const undone = async (column: 'replace_allowed' | 'retention_days', value: unknown): Promise<() => Promise<void>> => {
    let mac: unknown;
    const failing = warden.database.withSystem(async (tx) => {
      await sealing(tx, warden, behalf, async () => {
        await declareChange(tx, [name], { [column]: value });
        await tx.query(`update folder set ${column} = $2 where id = $1`, [name.id, value]);
      });
      [{ mac }] = (await tx.query<{ mac: unknown }>("select mac from seal where kind = 'folder' and row_id = $1", [
        name.id,
      ])) as [{ mac: unknown }];
      throw new Error('the disk is full');
    });
    await t.rejects(failing, /disk is full/);
    const [before] = await sql.query<{ generation: number }>(
      "select generation from seal where kind = 'folder' and row_id = $1",
      [name.id],
    );
    return async () => {
      await sql.query('set session_replication_role = replica');
      await sql.query(`update folder set ${column} = $2 where id = $1`, [name.id, value]);
      await sql.query("update seal set mac = $2, generation = $3 where kind = 'folder' and row_id = $1", [
        name.id,
        mac,
        Number(before?.generation) + 1,
      ]);
      await sql.query('set session_replication_role = origin');
    };
  };
  const kept = await keptSeal(sql, 'folder', name.id);
  const retained = await undone('retention_days', 1);
  await retained();
  t.match(
    await row(),
    { generation: 3, facts: /"retention_days": 1[,}]/ },
    'a state that nobody committed, with the seal that it had',
  );
  t.notOk(await isGood(), 'the record knows the row, and not this state');
  await sql.query('update folder set retention_days = 20 where id = $1', [name.id]);
  await kept();
  t.ok(await isGood(), 'as the warden wrote it last');
  const narrow = await undone('retention_days', 2);
  await set('replace_allowed', false);
  t.match(await row(), { generation: 3 });
  t.ok(await isGood(), 'the twin: the next change of this row, of the same generation');
  await sql.query('update folder set replace_allowed = true where id = $1', [name.id]);
  await narrow();
  await sql.query("update seal set generation = 3 where kind = 'folder' and row_id = $1", [name.id]);
  t.notOk(await isGood(), 'of two seals of one generation, the one on record is good');
  generationsOf(warden.keys).forget();
  t.notOk(await isGood(), 'for a warden that starts, too');
  await t.rejects(
    set('retention_days', 30),
    { code: 'denied', message: /it was altered before/ },
    'it is no beginning of an honest change',
  );
  t.equal(await alarms(), 1);
});

test('a row that is made was never sealed: no seal continues from a generation that is there already', async (t) => {
  const { sql, make, alarms } = await setUp(t);
  const [last] = await sql.query<{ n: string }>('select (2 ^ 53 - 1)::bigint::text as n');
  await sql.query(
    `create function planted() returns trigger language plpgsql as $$ begin new.generation := ${last?.n}; return new; end $$`,
  );
  await sql.query('create trigger planted before insert on seal for each row execute function planted()');
  await t.rejects(make('globex'), { code: 'denied', message: /its generation is not the one that was declared/ });
  t.equal(await alarms(), 1);
  await sql.query('drop trigger planted on seal');
  await make('globex');
  t.equal(await alarms(), 1, 'the twin');
});

test('an entry that was hidden while the warden started is found when it is there again', async (t) => {
  const { sql, warden, name, set, isGood } = await setUp(t);
  const { database, keys } = warden;
  const origin = originOf(randomUUID());
  const seal = async (): Promise<unknown> => sealOnce(database, { signer: keys.checkpointSigner(origin), origin });
  const pass = async (): Promise<readonly RowName[]> => {
    const found: RowName[] = [];
    for await (const row of brokenSeals(warden)) found.push(row);
    return found;
  };
  const rename = async (from: string, to: string): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(
      'update ledger_sealed set kind = $2 where kind = $1 and number = (select min(number) from ledger_sealed where kind = $1)',
      [from, to],
    );
    await sql.query('set session_replication_role = origin');
  };
  const putBack = await keptSeal(sql, 'folder', name.id);
  await set('replace_allowed', false);
  await seal();
  await database.withSystem((tx) =>
    record(tx, { kind: 'rows.resealed', observer: 'warden', sensitive: { rows: [['folder', randomUUID(), 2]] } }),
  );
  await seal();
  t.same(await pass(), [], 'the twin: what the pass reads again is no news');

  await rename('rows.resealed', 'rows.hidden');
  await sql.query('update folder set replace_allowed = true where id = $1', [name.id]);
  await putBack();
  generationsOf(keys).forget();
  t.same(await pass(), [], 'a warden that starts knows what it can see: a known limit');
  t.ok(await isGood());
  await rename('rows.hidden', 'rows.resealed');
  t.same(
    await pass(),
    [name, name],
    'its number is below what was read, and is read all the same: whoever relied on it, and the row',
  );
  t.notOk(await isGood());
  await sql.query('update folder set replace_allowed = false where id = $1', [name.id]);
  t.same(await pass(), [name], 'afterwards it is a broken row');
});

test('of a record that was given up nothing stays known: neither a state nor what was taken away from one', async (t) => {
  const known = generationsOf({});
  const name = { kind: 'account', id: randomUUID() } as const satisfies RowName;
  const entry = { number: 7, rows: [['account', name.id, 2, 'mark']], narrowed: [['account', name.id, 3, 2]] };
  const tx = { query: async () => [entry] } as unknown as Parameters<typeof known.refresh>[0];
  await known.refresh(tx);
  known.learn({ ...name, generation: 3 });
  const before = { ...name, generation: 2, mac: Buffer.from('x') };
  t.same(
    [known.newest(name), known.isOld(before), known.isPutBack(before)],
    [3, true, true],
    'an old state that may be narrowed once more',
  );
  known.forget();
  t.same(
    [known.newest(name), known.isOld(before), known.isPutBack(before), known.isUnrecorded(before)],
    [0, false, false, false],
  );
  t.same(known.narrowedRow(name), ['account', name.id, 2, 1], 'as of a row that was sealed once');
  known.learn({ ...name, generation: 3 });
  t.same(
    [known.isOld(before), known.isPutBack(before)],
    [true, false],
    'nothing was taken away in the record that counts now',
  );
});
