// T-35: whoever waits for a place among the transactions holds none. A transaction inside another one is a defect, and
// the alert of a refusal waits until that transaction is undone.
import { type Test, test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type CustomerId, idOf } from '../../server/domain/ids.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';

const customer = idOf<CustomerId>('5a8c1d7e-6c1f-4b55-9d5b-0a8f0a3c7a10');
const signal = (): AbortSignal => new AbortController().signal;

/** A pool with one place: whoever would hold two waits forever, so a test that ends has held one at a time. */
async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  await sql.query('create table said (what text)');
  let held = 0;
  let most = 0;
  const admission = async () => {
    held += 1;
    most = Math.max(most, held);
    const release = (): void => {
      held -= 1;
    };
    return { release, lockMs: null };
  };
  const make = (): Database => {
    const database = new Database({ url: sql.migrateUrl, applicationName: 'nesting', connectionsMax: 4, admission });
    t.teardown(() => database.close());
    return database;
  };
  const said = async (): Promise<readonly unknown[]> =>
    (await sql.query('select what from said order by what')).map((row) => row.what);
  return { make, said, most: () => most };
}
const say = (what: string) => async (tx: Transaction) => {
  await tx.query('insert into said values ($1)', [what]);
};
const nested = { code: 'bug', message: /began inside another one/ };

test('no transaction begins inside the work of another one of its pool, in whatever way', async (t) => {
  const { make, said, most } = await setUp(t);
  const database = make();
  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    withSystem: () => database.withSystem(say('nested')),
    withCustomers: () => database.withCustomers([customer], say('nested')),
    call: () => database.call("insert into said values ('nested')", []),
    withSnapshot: () =>
      database.withSnapshot({ timeoutMs: 60_000, workMemory: '256MB', signal: signal() }, async () => {}),
  };
  for (const [name, way] of Object.entries(ways)) {
    await t.rejects(database.withSystem(way), nested, `${name} in withSystem`);
    await t.rejects(database.withCustomers([customer], way), nested, `${name} in withCustomers`);
    await t.rejects(
      database.withSystem(() => Promise.all([1].map(() => new Promise(setImmediate).then(way)))),
      nested,
      `${name} later in it`,
    );
    await t.resolves(way(), `the twin: ${name} by itself`);
  }
  await t.resolves(
    database.withSystem(async () => make().withSystem(say('elsewhere'))),
    'places of another pool',
  );
  let later = (): Promise<void> => Promise.reject(new Error('it was never begun'));
  await database.withSystem(async () => {
    let begin = (): void => {};
    const work = new Promise<void>((resolve) => {
      begin = resolve;
    }).then(() => database.withSystem(say('later')));
    later = () => {
      begin();
      return work;
    };
  });
  await t.resolves(later(), 'what goes on by itself after its end is in none');
  t.strictSame(await said(), ['elsewhere', 'later', 'nested', 'nested', 'nested'], 'only the twins wrote');
  t.equal(most(), 2, 'two at once only where they were of two pools');
});

test('the alarm of a refusal is written after its transaction is undone, in a place of its own', async (t) => {
  const { make, said, most } = await setUp(t);
  const database = make();
  const refusal = new CofferdamError('denied', 'altered');
  await t.rejects(
    database.withSystem(async (tx) => {
      await say('undone')(tx);
      await database.onceUndone(say('first alarm'));
      await database.onceUndone(say('second alarm'));
      throw refusal;
    }),
    refusal,
  );
  t.strictSame(await said(), ['first alarm', 'second alarm']);

  const other = new CofferdamError('conflict', 'somebody was first');
  await t.rejects(
    database.withSystem(async () => {
      await database.onceUndone(async () => other);
      throw refusal;
    }),
    other,
    'an error that it returns is the answer',
  );
  await t.rejects(
    database.onceUndone(async () => other),
    other,
    'the same without a transaction around',
  );
  await t.resolves(database.onceUndone(say('alone')));
  t.equal(most(), 1, 'never two places');
});

test('work that was refused is not committed, writes a bounded number of alarms, and fails when they cannot be written', async (t) => {
  const { make, said } = await setUp(t);
  const database = make();
  await t.rejects(
    database.withSystem(async (tx) => {
      await say('undone')(tx);
      await database.onceUndone(say('alarm'));
    }),
    { code: 'bug', message: /work continued after it was refused/ },
  );
  t.strictSame(await said(), ['alarm'], 'it went on as if nothing had been refused: undone, and said');
  await t.rejects(
    database.withSystem(async () => {
      for (let i = 0; i < 5; i += 1) await database.onceUndone(say(`alarm ${i}`));
    }),
    { code: 'bug', message: /too many reports are left/ },
  );
  t.strictSame(await said(), ['alarm', 'alarm 0', 'alarm 1', 'alarm 2', 'alarm 3']);
  await t.rejects(
    database.withSystem(async () => {
      await database.onceUndone(async (tx) => tx.query('insert into nowhere values (1)'));
      throw new CofferdamError('denied', 'altered');
    }),
    { code: 'bug', message: 'internal error' },
    'what could not be said is the answer',
  );
});
