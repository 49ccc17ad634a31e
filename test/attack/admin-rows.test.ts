// T-37: a compromised admin process with its own database role: whatever it may write, say or hold there, the gateway
// serves, the record is sealed, and other operators are answered.
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { startWorld } from '../support/world.ts';

test('rows, notifications and locks of the database role of the admin process stop nobody', async (t) => {
  const world = await startWorld(t, { limits: { witnessAlarmMs: 5000, witnessStopMs: 15_000 } });
  const admin = new pg.Client({ connectionString: world.roleUrl('admin') });
  await admin.connect();
  t.teardown(() => admin.end());
  const { rows } = await admin.query<{ id: string }>("select id from operator where name = 'alice'");
  const operator = rows[0]?.id;
  const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const commands: readonly (readonly [string, string])[] = [
    ['warden.ping', deep(3000)],
    ['account.lock', nested(3000)],
    ['plan', `{"operation": "account.create", "params": ${deep(2000)}}`],
    ['change.propose', `{"document": ${JSON.stringify('x'.repeat(1_000_000))}, "signature": 1e400}`],
    ['account.lock', '{"account": 1e400, "reason": -0.0}'],
    ['\u202e\u001b[31m', '{"a": "\\u001b[2J"}'],
    ['__proto__', '{"__proto__": {"role": "security-officer"}}'],
    ['constructor', 'null'],
    ['', '[]'],
  ];
  for (const [operation, params] of commands)
    await admin.query('insert into command (id, operator_id, operation, params) values ($1, $2, $3, $4)', [
      randomUUID(),
      operator,
      operation,
      params,
    ]);
  await t.rejects(
    admin.query("insert into ledger_fresh (kind, observer, sensitive) values ('operator.asked', 'admin', '[]')"),
    /ledger_fresh_sealable/,
    'what could not be sealed is refused',
  );
  for (let i = 0; i < 50; i += 1)
    await admin.query(
      "insert into ledger_fresh (kind, observer, operator, sensitive) values ('operator.asked', 'admin', $1, $2)",
      [
        'o'.repeat(512),
        i % 2 === 0
          ? `{"deep": ${deep(2000)}}`
          : `{"operator": 1e400, "params": {"at": "infinity", "text": "\\u001b[2J"}}`,
      ],
    );
  for (const channel of ['cofferdam_command', 'cofferdam_answer', 'cofferdam_ended'])
    for (const payload of [
      '',
      '/',
      'partner-1/',
      `partner-1/${'x'.repeat(7000)}`,
      `__proto__/${randomUUID()}`,
      'infinity',
    ])
      await admin.query('select pg_notify($1, $2)', [channel, payload]);

  const local = join(world.directory, 'file');
  writeFileSync(local, randomBytes(300_000));
  const taken = await world.sftp('acme-batch', [`put ${local} deposit/a`]);
  t.equal(taken.code, 0, `files are taken: ${taken.err} ${world.log.slice(-4000)}`);
  const answers = async (): Promise<readonly (number | null)[]> => {
    const { rows: open } = await admin.query<{ n: number }>(
      "select count(*)::int as n from command where state = 'new'",
    );
    return open.map(({ n }) => n);
  };
  for (
    const end = Date.now() + 30_000;
    (await answers())[0] !== 0 && Date.now() < end;
    await new Promise((r) => setTimeout(r, 100))
  );
  t.same(await answers(), [0], 'each command has its answer');
  const outcomes = await admin.query<{ state: string; error_code: string }>(
    "select state, error_code from command where operation = any ($1) and params is distinct from '{}'::jsonb",
    [commands.map(([operation]) => operation)],
  );
  t.ok(
    outcomes.rows.every((one) => one.state === 'failed' || one.error_code === null),
    'none did anything odd',
  );
  t.equal(
    (await world.cofferctl(['account', 'lock', 'globex-batch', '--reason', 'test', '--execute'])).code,
    0,
    'an honest one is done',
  );
  for (const words of [
    ['status'],
    ['report', 'changes', '--since', '1d'],
    ['report', 'access'],
    ['ledger', 'verify'],
    ['alert', 'list'],
  ]) {
    const done = await world.cofferctl(words);
    t.equal(done.code, 0, `${words.join(' ')} answers ${done.err}`);
  }
  const doctor = await world.cofferctl(['doctor']);
  t.match(doctor.code, /^[01]$/, 'doctor answers');
  const quarantined = await admin.query('select id from ledger_quarantine');
  t.same(quarantined.rows, [], 'everything could be sealed');
  t.match((await world.cofferctl(['ledger', 'status'])).out, /witness/, 'and is witnessed');
});
