// T-37: commands are limited in size and rate, and do not stay: what a compromised admin process asks for does not fill
// the database.
import { randomBytes, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { commandsKept } from '../../server/domain/command-life.ts';
import { Database } from '../../server/postgres/database.ts';
import { answerExpired, forgetAnswered } from '../../server/warden/commands/answered.ts';
import { startSealBench } from '../support/seal-bench.ts';

async function setUp(t: Test) {
  const { sql, warden } = await startSealBench(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const operator = randomUUID();
  await sql.query("insert into operator (id, name, role) values ($1, 'oscar', 'operator')", [operator]);
  const ask = (params: object): Promise<unknown> =>
    admin.withSystem((tx) =>
      tx.query(
        "insert into command (id, operator_id, operation, params) values (gen_random_uuid(), $1, 'warden.ping', $2)",
        [operator, JSON.stringify(params)],
      ),
    );
  /** As they are after some time. */
  const lie = async (
    number: number,
    state: string,
    operation: string,
    age: string,
    params: object = {},
  ): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(
      `insert into command (id, operator_id, operation, params, state, created_at)
       select gen_random_uuid(), $1, $2, $3, $4, clock_timestamp() - $5::interval - n * interval '1 millisecond' from generate_series(1, $6) n`,
      [operator, operation, JSON.stringify(params), state, age, number],
    );
    await sql.query('set session_replication_role = origin');
  };
  const left = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ what: string }>(
        "select operation || ' ' || state || ' ' || count(*) as what from command group by operation, state order by 1",
      )
    ).map((row) => row.what);
  return { sql, warden, ask, lie, left };
}

const noise = (bytes: number): string => randomBytes(bytes).toString('base64').slice(0, bytes);

test('one command has a largest size, and the commands of a minute have one together', async (t) => {
  const { sql, ask, left } = await setUp(t);
  await t.rejects(ask({ x: noise(1_048_576) }), { cause: { constraint: 'command_bounds' } }, 'one that is too large');
  const answered = "update command set state = 'failed' where state = 'new'";
  for (let n = 0; n < 16; n += 1) {
    await ask({ x: noise(1_000_000) });
    await sql.query(answered);
  }
  await t.rejects(
    ask({ x: noise(1_000_000) }),
    { cause: { constraint: 'command_pace' } },
    'that they are answered makes no room',
  );
  t.same(await left(), ['warden.ping failed 16']);
  await t.resolves(ask({ x: noise(100_000) }), 'the twin: what is small has room');
  await sql.query('set session_replication_role = replica');
  await sql.query("update command set state = 'failed', created_at = created_at - interval '61 seconds'");
  await sql.query('set session_replication_role = origin');
  await t.resolves(ask({ x: noise(1_000_000) }), 'and a minute later');
});

test('answered commands are deleted after their time, or when there are too many; those that a report shows stay', async (t) => {
  const { warden, lie, left } = await setUp(t);
  await lie(700, 'done', 'plan', '25 hours');
  await lie(3, 'done', 'plan', '23 hours');
  await lie(2, 'done', 'account.lock', '300 days');
  await lie(2, 'failed', 'account.lock', '300 days');
  await lie(1, 'new', 'plan', '300 days');
  const kept = ['account.lock done 2', 'account.lock failed 2', 'plan done 3', 'plan new 1'];
  await forgetAnswered(warden.database);
  t.same(await left(), kept);
  await lie(commandsKept.each + 5, 'failed', 'key.add', '1 hour');
  await forgetAnswered(warden.database);
  t.same(
    await left(),
    ['account.lock done 2', `key.add failed ${commandsKept.each}`, 'plan done 3', 'plan new 1'],
    'too many that failed: the oldest of them are gone, and nothing else',
  );
  const number = Math.ceil(commandsKept.bytes / 1_000_000);
  for (let n = 0; n < number + 3; n += 1) await lie(1, 'done', 'warden.ping', '1 minute', { x: noise(1_000_000) });
  await forgetAnswered(warden.database);
  const pings = (await left()).find((what) => what.startsWith('warden.ping'));
  t.equal(pings, `warden.ping done ${number - 1}`, 'too much of them');
});

test('commands that are too old are answered at once, each with what is known of it, and one entry says so', async (t) => {
  const { sql, warden, lie, left } = await setUp(t);
  await lie(3, 'new', 'account.lock', '16 seconds');
  await lie(1, 'new', 'key.suspend', '5 seconds');
  await lie(1, 'new', 'key.resume', '-1 hour');
  const [one] = await sql.query<{ id: string }>("select id from command where operation = 'account.lock' limit 1");
  const ids = await answerExpired(warden.database, 'late', new Map([[one?.id ?? '', 'locked']]));
  t.equal(ids.length, 4);
  t.same(await left(), ['account.lock failed 3', 'key.resume failed 1', 'key.suspend new 1']);
  t.same(
    await sql.query(
      'select error_text as text, count(*)::int as n from command where error_code is not null group by 1 order by 1',
    ),
    [
      { text: 'late', n: 3 },
      { text: 'locked', n: 1 },
    ],
  );
  const [entry] = await sql.query<{ sensitive: { count: number; operators: string[] } }>(
    "select sensitive from ledger_fresh where kind = 'commands.expired'",
  );
  t.match(entry?.sensitive, { count: 4, operators: ['oscar'] });
  t.same(await answerExpired(warden.database, 'late', new Map()), [], 'once');
});
