// What the renewal of a lease reads: the sessions that ended since, however many have ended before; and still those
// whose transaction took its epoch early and was committed late.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { test } from 'tap';
import { idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import { Nodes } from '../../server/warden/nodes/nodes.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import type { Teardown, TestDatabase } from '../support/database.ts';
import { rowsRead } from '../support/rows-read.ts';
import { until } from '../support/until.ts';

/** Sessions of the node that ended long ago. */
const history = 6000;
const caller: EdgeCaller = { node: idOf<NodeName>('n'), plane: 'partner' };

type Bench = { readonly sql: TestDatabase; readonly readers: readonly SessionId[]; readonly epoch: number };

/** A node with a history, and sessions of it that are open. */
async function startBench(t: Teardown, open: number): Promise<Bench> {
  const given = await startBankDatabase(t);
  const { sql } = given;
  const bank = await Bank.create(given, 'globex', 1000);
  const readers: SessionId[] = [];
  for (let i = 0; i < open; i += 1) readers.push((await bank.addReader()).session);
  await sql.query('set session_replication_role = replica');
  await sql.query(
    `insert into session (id, token_hash, account_id, credential_id, node, start_id, state, expires_at, idle_ms, ended_at, ended_epoch, end_kind)
     select gen_random_uuid(), sha256(('t' || i)::bytea), s.account_id, s.credential_id, 'n', s.start_id, 'ended', now(), 1000, now() - interval '1 day', nextval('revocation_epoch'), 'idle'
     from session s, generate_series(1, ${history}) i where s.id = $1`,
    [readers[0]],
  );
  await sql.query('set session_replication_role = origin');
  await sql.query('analyze');
  const [row] = await sql.query<{ epoch: number }>('select max(ended_epoch) as epoch from session');
  return { sql, readers, epoch: row?.epoch ?? 0 };
}

/** A warden to which the edge of the node has said hello. */
async function greeted(
  sql: TestDatabase,
  settlesMs?: number,
): Promise<{ readonly nodes: Nodes; close(): Promise<void> }> {
  const database = new Database({ url: sql.wardenUrl, applicationName: 'lease', connectionsMax: 1, isPreparing: true });
  const nodes = new Nodes(database, undefined, settlesMs);
  nodes.attach(caller.node, {} as never);
  await nodes.hello(caller, randomUUID(), null, () => {});
  return { nodes, close: () => database.close() };
}

const end =
  "update session set state = 'ended', ended_at = now(), end_kind = 'idle', ended_epoch = nextval('revocation_epoch') where id = $1";

test('a lease is renewed at the cost of what ended since', async (t) => {
  const { sql, readers, epoch } = await startBench(t, 1);
  const sessionsRead = async (): Promise<number> => (await rowsRead(sql)).get('session') ?? 0;
  /** What so many renewals read; a connection tells what it read when it ends. */
  const costOf = async (renewals: number): Promise<number> => {
    const before = await sessionsRead();
    const { nodes, close } = await greeted(sql, 0);
    for (let i = 0; i < renewals; i += 1) t.ok((await nodes.renew(caller, epoch, [])).ended.length <= 1000);
    await close();
    await until('the connection is gone', async () => {
      const left = await sql.query("select 1 from pg_stat_activity where application_name = 'lease'");
      return left.length === 0;
    });
    return (await sessionsRead()) - before;
  };
  const [few, many] = [await costOf(3), await costOf(53)];
  // The first two look back, by a thousand numbers each.
  t.ok(few <= 2500, `a greeting and three renewals read ${few} rows of ${history} sessions`);
  t.ok(many - few <= 50, `50 renewals more read ${many - few} rows of ${history} sessions`);
  // The twin: what ends is told at the next renewal, and once.
  const { nodes, close } = await greeted(sql, 0);
  t.teardown(close);
  for (let i = 0; i < 3; i += 1) await nodes.renew(caller, epoch, []);
  await sql.query(end, [readers[0]]);
  const renewed = await nodes.renew(caller, epoch, []);
  t.same(renewed.ended, [{ session: readers[0], reason: 'idle' }]);
  t.ok(renewed.epoch > epoch);
  t.same((await nodes.renew(caller, renewed.epoch, [])).ended, []);
});

for (const isActive of [false, true])
  test(`an end that is committed late is told${isActive ? ' with activity' : ''}`, async (t) => {
    const { sql, readers, epoch } = await startBench(t, 3);
    const [late = '', soon = '', active = ''] = readers;
    const { nodes, close } = await greeted(sql);
    t.teardown(close);
    const activity = isActive ? [{ session: idOf<SessionId>(active), quietMs: 0 }] : [];
    await nodes.renew(caller, epoch, activity);
    const client = new pg.Client({ connectionString: sql.migrateUrl });
    await client.connect();
    t.teardown(() => client.end());
    await client.query('begin');
    await client.query(end, [late]);
    await sql.query(end, [soon]);
    const first = await nodes.renew(caller, epoch, activity);
    t.same(first.ended, [{ session: soon, reason: 'idle' }]);
    await client.query('commit');
    const second = await nodes.renew(caller, first.epoch, activity);
    t.same(second.ended, [{ session: late, reason: 'idle' }], 'although its epoch is older than one that was seen');
    t.same((await nodes.renew(caller, second.epoch, activity)).ended, []);
  });

test('a renewal moves the clock of its node, and brings an order to drain', async (t) => {
  const { sql, epoch } = await startBench(t, 1);
  const { nodes, close } = await greeted(sql);
  t.teardown(close);
  await sql.query("update node set last_seen_at = now() - interval '1 hour' where name = 'n'");
  t.equal((await nodes.renew(caller, epoch, [])).drainWithinMs, null);
  t.same(await sql.query("select last_seen_at > now() - interval '1 minute' as is_seen from node where name = 'n'"), [
    { is_seen: true },
  ]);
  await sql.query(
    "update node set drain_start_id = start_id, drain_ordered_at = now(), drain_until = now() + interval '1 minute', drain_reason = 'r', drain_ordered_by = 'alice' where name = 'n'",
  );
  const { drainWithinMs } = await nodes.renew(caller, epoch, []);
  t.ok(drainWithinMs !== null && drainWithinMs > 50_000 && drainWithinMs <= 60_000, `${drainWithinMs} ms`);
});
