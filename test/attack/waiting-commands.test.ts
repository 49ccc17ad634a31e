// T-38: what operators ask for waits for the warden in the database. What waits is limited in age and number, whoever
// wrote it; an operator who gave up can rely on nothing happening any more; and nobody's plans, and no command that
// cannot be carried out now, delay the command of another.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type Client, connect } from '../../admin-cli/connection/client.ts';
import { commandsWall, defaultShares } from '../../server/config/shares.ts';
import { commandLife } from '../../server/domain/command-life.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { addOperator } from '../support/operators.ts';
import { startWorld } from '../support/world.ts';

/**
 * A command that is carried out at once takes hundredths of a second, one behind a lock five seconds; a statement that
 * waits without an end is ended after thirty.
 */
const soonMs = 25_000;

async function sceneOf(t: Test) {
  const world = await startWorld(t);
  const sql = new pg.Client({ connectionString: world.databaseUrl });
  const admin = new pg.Client({ connectionString: world.roleUrl('admin') });
  await Promise.all([sql.connect(), admin.connect()]);
  await sql.query('set idle_in_transaction_session_timeout = 0');
  t.teardown(() => Promise.all([sql.end(), admin.end()]));
  const clients: Client[] = [];
  const clientAt = async (directory: string): Promise<Client> => {
    const client = await connect({ directory, socket: join(world.directory, 'run', 'admin', 'admin.sock') });
    clients.push(client);
    return client;
  };
  t.teardown(() => {
    for (const client of clients) client.close();
  });
  const alice = await clientAt(join(world.directory, 'operators', 'alice'));
  const oscar = await clientAt(await addOperator(world, 'oscar', 'operator'));
  const idOf = async (name: string): Promise<string> =>
    (await sql.query('select id from operator where name = $1', [name])).rows[0].id;
  /** As a compromised admin process asks, in anybody's name. */
  const plant = async (
    operator: string,
    number = 1,
    operation = 'warden.ping',
    params: object = {},
  ): Promise<readonly string[]> => {
    const ids = Array.from({ length: number }, () => randomUUID());
    await admin.query(
      'insert into command (id, operator_id, operation, params) select unnest($1::uuid[]), $2, $3, $4',
      [ids, await idOf(operator), operation, params],
    );
    return ids;
  };
  const answerOf = async (id: string): Promise<{ state: string; code: string | null; text: string | null }> => {
    for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const { rows } = await sql.query(
        'select state, error_code as code, error_text as text from command where id = $1',
        [id],
      );
      if (rows[0].state !== 'new' || Date.now() > end) return rows[0];
    }
  };
  const isLocked = async (account: string): Promise<boolean> =>
    (await sql.query("select 1 from account where name = $1 and state = 'suspended'", [account])).rows.length === 1;
  return { world, sql, admin, alice, oscar, plant, answerOf, isLocked };
}

const said = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (error instanceof CofferdamError ? `${error.code}: ${error.message}` : String(error)),
  );

const lock = (client: Client, account: string): Promise<string> =>
  said(client.call('account.lock', { name: account, reason: 'test' }));

async function soon<T>(t: Test, what: string, work: Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work;
  const tookMs = Math.round(performance.now() - started);
  t.ok(tookMs < soonMs, `${what}: ${tookMs} ms`);
  return result;
}

test('commands that wait for the warden are limited in number, size and age', async (t) => {
  const { world, sql, admin, alice, oscar, plant, answerOf, isLocked } = await sceneOf(t);
  const { each, total, reserve } = commandsWall;

  await t.test(
    'one person has a number of them, and so have all together; a part is kept for security officers',
    async (t) => {
      const [warden] = world.pidsOf('warden');
      process.kill(warden ?? 0, 'SIGSTOP');
      try {
        await admin.query('begin');
        await plant('oscar', each);
        await admin.query('savepoint room');
        await t.rejects(plant('oscar'), { code: '54000', constraint: 'command_room' }, 'one more of one person');
        await admin.query('rollback to savepoint room');
        await plant('alice', 1);
        await admin.query('rollback');

        await plant('oscar', each);
        t.match(
          await lock(oscar, 'globex'),
          /^over-limit: too many commands wait for the warden already\. Nothing was asked/,
        );
        // Others, whoever they are, until only what is kept for security officers is free.
        const strangers = (total - reserve) / each - 1;
        await sql.query(
          `insert into operator (id, name, role) select gen_random_uuid(), 'o' || n, 'viewer'
         from generate_series(1, $1::int) n`,
          [strangers + 1],
        );
        for (let n = 1; n <= strangers; n += 1) await plant(`o${n}`, each);
        await t.rejects(plant(`o${strangers + 1}`), { code: '54000' }, 'one more of all who are no officers');
        const officers = lock(alice, 'globex');
        await new Promise((resolve) => setTimeout(resolve, 500));
        process.kill(warden ?? 0, 'SIGCONT');
        t.equal(await soon(t, "an officer's, behind all of them", officers), 'done');
        t.ok(await isLocked('globex'));
      } finally {
        process.kill(warden ?? 0, 'SIGCONT');
      }
      const left = async (): Promise<number> =>
        (await sql.query("select count(*)::int as n from command where state = 'new'")).rows[0].n;
      for (
        const end = Date.now() + 60_000;
        (await left()) > 0 && Date.now() < end;
        await new Promise((r) => setTimeout(r, 100))
      );
      t.equal(await left(), 0, 'each is answered');
      t.equal(await soon(t, "and the operator's", lock(oscar, 'acme-2')), 'done');
    },
  );

  await t.test('an operator whose plans wait for somebody delays nobody', async (t) => {
    const { plans } = defaultShares.admin;
    await sql.query('begin');
    await sql.query("select 1 from account where name = 'acme' for update");
    const params = { operation: 'account.lock', params: { name: 'acme', reason: 'test' } } as const;
    const flood = Array.from({ length: plans.each + plans.waiting + 2 }, () => said(oscar.call('plan', params)));
    try {
      for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
        const { rows } = await sql.query(
          "select count(*)::int as n from pg_stat_activity where application_name = 'cofferdam warden' and wait_event_type = 'Lock'",
        );
        if (rows[0].n > 0) break;
      }
      const { rows: open } = await sql.query(
        "select count(*)::int as n from command where state = 'new' and operation = 'plan'",
      );
      t.ok(open[0].n <= plans.each, `${open[0].n} of his plans are asked at once`);
      t.equal(await soon(t, "an officer's command meanwhile", lock(alice, 'globex-batch')), 'done');
      const other = { operation: 'account.lock', params: { name: 'acme-2-batch', reason: 'test' } } as const;
      t.equal(await soon(t, "an officer's plan meanwhile", said(alice.call('plan', other))), 'done');
    } finally {
      await sql.query('rollback');
    }
    const answers = await Promise.all(flood);
    t.equal(
      answers.filter((one) => one === 'done').length,
      plans.each + plans.waiting,
      `and each of his is answered: ${[...new Set(answers)]}`,
    );
    t.equal(answers.filter((one) => /^over-limit: too many plans/.test(one)).length, 2);
  });

  await t.test('a command that cannot be carried out now delays nobody, and ends by its age', async (t) => {
    await sql.query('begin');
    await sql.query("select 1 from account where name = 'acme' for update");
    let late: string | undefined;
    try {
      const his = lock(oscar, 'acme').then((answer) => (late = answer));
      const started = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 300));
      t.equal(await soon(t, "an officer's meanwhile", lock(alice, 'acme-batch')), 'done');
      t.equal(late, undefined, 'his waits');
      t.match(
        await his,
        /^unavailable: it could not be done within 15 s \(another operation is changing the same data.*Nothing was done, and it is not done later/,
      );
      t.ok(Date.now() - started >= commandLife.beginMs - 1000);
    } finally {
      await sql.query('rollback');
    }
    t.notOk(await isLocked('acme'), 'true');
    t.equal(await soon(t, 'asked again', lock(oscar, 'acme')), 'done');
  });

  await t.test('what was asked while no warden was there is not carried out when one comes', async (t) => {
    const [warden] = world.pidsOf('warden');
    process.kill(warden ?? 0, 'SIGSTOP');
    let answer: string;
    let asked: readonly string[];
    try {
      asked = await plant('oscar', 1, 'account.lock', { name: 'processor', reason: 'test' });
      answer = await said(alice.call('account.unlock', { name: 'acme', reason: 'test' }));
      t.match(
        answer,
        /^unavailable: no warden answered within 50 s\. Nothing was done, and nothing will be/,
        'whoever waits is told',
      );
    } finally {
      process.kill(warden ?? 0, 'SIGCONT');
    }
    const { state, code, text } = await answerOf(asked[0] ?? '');
    t.same([state, code], ['failed', 'unavailable']);
    t.match(text, /^it could not be done within 15 s.*Nothing was done, and it is not done later: ask again$/);
    t.notOk(await isLocked('processor'));
    t.ok(await isLocked('acme'), 'and what she was told is true');
    t.equal(await soon(t, 'what is asked now', lock(alice, 'processor')), 'done');
  });

  await t.test('commands that are too old are answered together, however many of them wait', async (t) => {
    const since = (await sql.query('select coalesce(max(id), 0) as id from ledger')).rows[0].id;
    const number = 3000;
    await sql.query('set session_replication_role = replica');
    await sql.query(
      `insert into command (id, operator_id, operation, params, created_at)
       select gen_random_uuid(), o.id, 'account.lock', '{"name": "acme-2-batch", "reason": "old"}', clock_timestamp() - interval '20 seconds'
       from operator o, generate_series(1, $1) where o.name = 'oscar'`,
      [number],
    );
    await sql.query('set session_replication_role = origin');
    const left = async (): Promise<number> =>
      (await sql.query("select count(*)::int as n from command where state = 'new'")).rows[0].n;
    for (
      const end = Date.now() + 60_000;
      (await left()) > 0 && Date.now() < end;
      await new Promise((r) => setTimeout(r, 50))
    );
    t.equal(await soon(t, 'what is asked now', lock(alice, 'acme-2-batch')), 'done');
    const { rows } = await sql.query(
      "select state, error_code as code, left(error_text, 37) as text, count(*)::int as n from command where params ->> 'reason' = 'old' group by 1, 2, 3",
    );
    t.same(rows, [{ state: 'failed', code: 'unavailable', text: 'it could not be done within 15 s (oth', n: number }]);
    const { rows: entries } = await sql.query(
      "select kind, sensitive ->> 'operation' as operation, sensitive ->> 'outcome' as outcome, sensitive ->> 'count' as number from ledger where id > $1 and kind in ('command.executed', 'commands.expired')",
      [since],
    );
    const [executed, expired] = ['command.executed', 'commands.expired'].map((kind) =>
      entries.filter((one) => one.kind === kind),
    );
    t.match(executed, [{ operation: 'account.lock', outcome: 'done' }], 'an entry of what was done');
    t.equal(executed?.length, 1, 'and no other');
    t.ok((expired?.length ?? 0) <= 2, `and one or two for all of the others: ${JSON.stringify(expired)}`);
  });

  await t.test('a command that is carried out too late cannot be committed', async (t) => {
    const role = new pg.Client({ connectionString: world.roleUrl('warden') });
    await role.connect();
    const [warden] = world.pidsOf('warden');
    process.kill(warden ?? 0, 'SIGSTOP');
    try {
      const ids = [randomUUID(), randomUUID()];
      for (const [i, ageMs] of [commandLife.endMs + 1000, commandLife.endMs - 20_000].entries())
        await sql.query(
          `insert into command (id, operator_id, operation, params, created_at)
           select $1, id, 'warden.ping', '{}', clock_timestamp() - $2 * interval '1 millisecond' from operator where name = 'oscar'`,
          [ids[i], ageMs],
        );
      const done = "update command set state = 'done', result = '{}', finished_at = clock_timestamp() where id = $1";
      await t.rejects(role.query(done, [ids[0]]), { code: '57014', message: /too late/ }, 'that it was done');
      await role.query(done, [ids[1]]);
      await role.query("update command set state = 'failed' where id = $1", [ids[0]]);
      t.pass('what is in time can, and that it was not done');
    } finally {
      process.kill(warden ?? 0, 'SIGCONT');
      await role.end();
    }
  });
});
