// T-35: in the whole gateway one session is opened at a time. A login may rely on hundreds of rows: they are verified
// before the lock is taken, and behind it one look tells whether they are still what was verified.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { type AccountId, type CustomerId, type FolderId, idOf } from '../../server/domain/ids.ts';
import { insertRight } from '../../server/warden/folders/right-queries.ts';
import { verifiedAhead, verifiedBehind } from '../../server/warden/seals/seals.ts';
import { twoOfficers } from '../support/agreed.ts';
import { withWardensKeys } from '../support/as-warden.ts';
import { attempt, connectAs, hashOf, transcript, UserKey } from '../support/impostor.ts';
import { keptSeal, startSealBench } from '../support/seal-bench.ts';
import { startWorld } from '../support/world.ts';

const many = 30;
type Facts = Readonly<Record<string, unknown>>;

async function setUp(t: Test) {
  const { sql, warden, config } = await startSealBench(t);
  let seals = 0;
  const keys = {
    ...warden.keys,
    sealRow: (parts: readonly string[]): Buffer => {
      seals += 1;
      return warden.keys.sealRow(parts);
    },
  };
  const account = idOf<AccountId>(randomUUID());
  const change = (...statements: readonly string[]): Promise<void> =>
    withWardensKeys(config, sql.wardenUrl, async (tx) => {
      for (const text of statements) await tx.query(text);
    });
  const officers = await twoOfficers(warden);
  const worker = { name: 'worker', kind: 'machine', plane: 'internal' } as const;
  await officers.account({ id: account, customer: null, contact: null, isDemo: false, manages: false, ...worker });
  await change(
    `insert into customer (id, name) select gen_random_uuid(), 'bank' || n from generate_series(1, ${many}) n`,
    "insert into folder (id, customer_id, name, direction) select gen_random_uuid(), id, 'deposit', 'deposit' from customer where name like 'bank%'",
  );
  const folders = await sql.query<{ id: FolderId; customer: CustomerId }>(
    'select id, customer_id as customer from folder',
  );
  await officers.doing({ operation: 'account.create', params: worker }, async (tx) => {
    for (const folder of folders) await insertRight(tx, account, folder.customer, folder.id, ['list', 'read']);
  });
  const login = { account, credentials: [], window: null, ticket: null };
  /** What is done between the two, and how many rows were verified behind the lock. */
  const open = async (between: () => Promise<void>) =>
    warden.database.withSystem(async (tx) => {
      const ahead = await verifiedAhead(tx, keys, account, []);
      await between();
      const before = seals;
      const { broken, rows } = await verifiedBehind(tx, keys, login, ahead);
      const folders = [...rows.values()]
        .filter((row) => row.kind === 'folder')
        .map((row) => JSON.parse(row.facts) as Facts);
      return { ahead: ahead.broken, broken, folders, verified: seals - before, rows: rows.size };
    });
  return { sql, change, open, account };
}

test('what was verified ahead is not verified again, unless it was changed', async (t) => {
  const { change, open, account } = await setUp(t);
  const still = await open(async () => {});
  t.equal(still.broken, undefined);
  t.ok(still.rows >= 2 * many + 2, `${still.rows} rows`);
  t.equal(still.folders.length, many);
  t.equal(still.verified, 0, 'none of them behind the lock');

  const changed = await open(() => change("update folder set read_back = true where name = 'deposit'"));
  t.equal(changed.broken, undefined);
  t.ok(changed.verified >= many);
  t.ok(
    changed.folders.every((one) => one.read_back === true),
    'what is relied on is as it was changed',
  );

  const fewer = await open(() =>
    change(
      `delete from folder_right where account_id = '${account}' and folder_id <> (select min(id::text)::uuid from folder)`,
    ),
  );
  t.equal(fewer.broken, undefined);
  t.equal(fewer.folders.length, 1, 'a right that was taken away meanwhile is not there');
});

test('nothing relies on what the owner of the database does in between', async (t) => {
  const { sql, change, open } = await setUp(t);
  const silently = async (text: string): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(text);
    await sql.query('set session_replication_role = origin');
  };
  const widened = await open(() => silently("update folder set read_back = true where name = 'deposit'"));
  t.equal(widened.broken, undefined);
  t.ok(
    widened.folders.every((one) => one.read_back === false),
    'as it was verified',
  );
  t.equal((await open(async () => {})).broken?.kind, 'folder', 'and the next login meets it');
  await silently("update folder set read_back = false where name = 'deposit'");
  t.equal((await open(async () => {})).broken, undefined);

  t.equal(
    (await open(async () => void (await sql.query("update folder set read_back = true where name = 'deposit'")))).broken
      ?.kind,
    'folder',
    'with its triggers',
  );
  await change("update folder set read_back = false where name = 'deposit'");

  const [{ id = '' } = {}] = await sql.query<{ id: string }>('select id from folder limit 1');
  const putBack = await keptSeal(sql, 'folder', id);
  await change(`update folder set settle_ms = 7000 where id = '${id}'`);
  t.equal((await open(async () => {})).broken, undefined, 'the newer state is known now');
  const old = await open(async () => {
    await silently(`update folder set settle_ms = default where id = '${id}'`);
    await putBack();
  });
  t.equal(old.broken?.kind, 'folder', 'an earlier state with its seal is no state');
});

test('while one login is being verified, the lock of all openings is free', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const [owner, other] = [
    new pg.Client({ connectionString: world.databaseUrl }),
    new pg.Client({ connectionString: world.databaseUrl }),
  ];
  await Promise.all([owner.connect(), other.connect()]);
  const edges = world.pidsOf('internal-1');
  for (const pid of edges) process.kill(pid, 'SIGSTOP');
  const peer = connectAs(paths.wardenSocket('internal-1'));
  t.teardown(async () => {
    peer.close();
    for (const pid of edges) process.kill(pid, 'SIGCONT');
    await Promise.all([owner.end(), other.end()]);
  });
  const { challenge } = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
  const key = new UserKey();
  t.equal((await world.cofferctl(['key', 'add', 'processor', '--file', '-'], key.line)).code, 0);
  const login = async (): Promise<string> => {
    const exchange = transcript(challenge);
    const signed = await peer.call('exchange.sign', exchange);
    return (await attempt(peer, exchange.connection, 'processor', key.evidence('processor', hashOf(exchange, signed))))
      .outcome;
  };
  t.equal(await login(), 'accepted');
  await owner.query('begin; lock table folder in access exclusive mode');
  const held = login();
  try {
    const heldBy = async (): Promise<readonly string[]> =>
      (
        await other.query(
          `select query from pg_stat_activity a join pg_locks l on l.pid = a.pid
           where l.relation = 'folder'::regclass and not l.granted and a.application_name = 'cofferdam warden'`,
        )
      ).rows.map(({ query }) => query as string);
    for (
      const end = Date.now() + 30_000;
      !(await heldBy()).some((query) => query.includes('publish_rule')) && Date.now() < end;
    );
    t.ok((await heldBy()).length > 0, 'its rows are being read');
    const { rows } = await other.query(
      'select pg_try_advisory_lock($1) as is_free, pg_advisory_unlock($1)',
      [0x73657373],
    );
    t.equal(rows[0].is_free, true, 'and whoever else logs in does not wait for it');
  } finally {
    await owner.query('rollback');
  }
  t.equal(await held, 'accepted', 'and it opens in the end');
});
