// A run of tests sees which locks each transaction takes, one after the other, and tells of those that are against the
// list (`server/postgres/lock-order.ts`): of planted transactions that take them the wrong way round, and of no others.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { addCustomer } from '../support/rows.ts';

const root = join(import.meta.dirname, '..', '..');
const watch = join(root, 'test', 'support', 'watch-locks.ts');

/** Runs transactions in a process that is watched as a test is, and returns what was told of their locks. */
async function toldOf(t: Test, url: string, transactions: readonly string[]): Promise<readonly string[]> {
  const directory = join(temporaryDirectory(t), 'locks');
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  const program = `import { Database } from ${JSON.stringify(join(root, 'server', 'postgres', 'database.ts'))};
    const database = new Database({ url: ${JSON.stringify(url)}, applicationName: 'planted', connectionsMax: 1 });
    const counter = (tx) => tx.query('select 1 from login_penalty l order by l.subject for update of l');
    const node = (tx) => tx.query("select 1 from node where name = 'n' for update");
    const openings = (tx) => tx.query('select pg_advisory_xact_lock($1)', [0x73657373]);
    const operator = (tx, name) => tx.query('select 1 from operator where name = $1 for update', [name]);
    const hold = (tx) => tx.query("insert into legal_hold (customer_id, reason, placed_by) select id, 'x', 'x' from customer");
    for (const work of [${transactions.map((text) => `async (tx) => { ${text} }`).join(',\n')}])
      for (let tries = 1; ; tries += 1)
        try {
          await database.withSystem(work);
          break;
        } catch (error) {
          if (error.code !== 'unavailable' || tries === 10) throw error;
        }
    await database.close();`;
  const child = spawn(process.execPath, ['--import', watch, '--input-type=module', '--eval', program], {
    env: { ...process.env, COFFERDAM_TEST_LOCKS: directory },
    stdio: 'inherit',
  });
  const [code] = await once(child, 'close');
  t.equal(code, 0, 'the transactions do what they do without being watched');
  const lines = readdirSync(directory).flatMap((name) =>
    readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'),
  );
  return lines.map((line) => line.split(':')[0] ?? '');
}

test('a transaction that takes its locks the wrong way round is told', async (t) => {
  const { wardenUrl, query } = await createTestDatabase(t);
  await query(
    "insert into operator (id, name, role) values (gen_random_uuid(), 'alice', 'viewer'), (gen_random_uuid(), 'bob', 'viewer')",
  );
  await addCustomer({ query }, { name: 'acme' });
  await query("insert into node (name, plane) values ('n', 'partner')");
  await query("insert into login_penalty (subject) values ('x')");
  const all = "await tx.query('select 1 from operator order by id for update');";
  const inOrder = [
    'await counter(tx); await node(tx);',
    'await node(tx);',
    // Another transaction on the same connection.
    'await counter(tx);',
    'await counter(tx); await openings(tx);',
    // The row was released before the other lock is taken.
    "await tx.query('savepoint part'); await openings(tx); await tx.query('rollback to savepoint part'); await counter(tx);",
    // The transaction holds the row already.
    `${all} await node(tx); await operator(tx, 'bob');`,
    // No row is locked.
    "await node(tx); await operator(tx, 'nobody');",
    // It passes over what somebody else has locked.
    "await node(tx); await tx.query('select 1 from operator for update skip locked');",
    'await counter(tx); await hold(tx);',
  ];
  t.same(await toldOf(t, wardenUrl, inOrder), [], 'twin: these keep the order');
  const wrong = {
    'await node(tx); await counter(tx);': 'login_penalty after node',
    'await openings(tx); await counter(tx);': 'login_penalty after advisory sessionOpening',
    // A trigger takes the first lock, and a function of the database the second one.
    'await hold(tx); await tx.query("select take_guess(\'{x}\', 1, 1, 1, 1)");': 'login_penalty after advisory hold',
    'await node(tx); await hold(tx);': 'advisory hold after node',
    "await tx.query('select 1 from customer for update');": 'customer is not in the list',
    // Another row of the table.
    "await operator(tx, 'alice'); await node(tx); await operator(tx, 'bob');": 'operator after node',
  };
  t.same(await toldOf(t, wardenUrl, Object.keys(wrong)), Object.values(wrong), 'and these are told');
});

test('the roles of a gateway are watched, and nothing else that a test starts', async (t) => {
  const directory = join(temporaryDirectory(t), 'server');
  mkdirSync(directory);
  const main = join(directory, 'main.ts');
  writeFileSync(main, "process.stdout.write([...process.execArgv, process.env.COFFERDAM_TEST_LOCKS].join(' '));");
  const program = (role: string): string => `
    import { spawn } from 'node:child_process';
    spawn(process.execPath, ['--no-warnings', ${JSON.stringify(main)}, '${role}'], { stdio: 'inherit', env: {} });`;
  const said = async (role: string): Promise<string> => {
    const child = spawn(process.execPath, ['--import', watch, '--input-type=module', '--eval', program(role)], {
      env: { ...process.env, COFFERDAM_TEST_LOCKS: directory },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let words = '';
    child.stdout.on('data', (chunk: Buffer) => (words += chunk.toString('utf8')));
    await once(child, 'close');
    return words.trim();
  };
  for (const role of ['up', 'warden', 'admin'])
    t.equal(await said(role), `--no-warnings --import ${watch} ${directory}`, role);
  for (const role of ['edge', 'verify']) t.equal(await said(role), '--no-warnings', role);
});
