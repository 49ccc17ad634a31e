// What the admin process wrote is missed when it is gone, whatever the database says of the era or shows for a moment:
// an alert says so, and an entry of the record.
import { setTimeout as delay } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { recordCall } from '../../server/admin/calls/operator-queries.ts';
import { OwnEntries } from '../../server/admin/ledger/born.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { TestSealer } from '../support/record.ts';

async function setUp(t: Test, witnessAlarmMs = 600_000) {
  const sql = await createTestDatabase(t);
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const entries = new OwnEntries({ unseenEntriesMax: 1000, clockJumpMs: 30_000, witnessAlarmMs }, log);
  const admin = new Database({
    url: sql.adminUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => entries.begin(),
  });
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => Promise.all([admin.close(), warden.close()]));
  const sealer = new TestSealer(warden);
  const facts = { operator: 'mallory', role: 'operator', operation: 'incident.hunt', params: '{}', allowed: true };
  const ask = (): Promise<void> => admin.withSystem((tx) => recordCall(tx, 'operator.asked', facts));
  const look = async (times = 1): Promise<void> => {
    for (let i = 0; i < times; i += 1) await entries.look(admin, 0);
  };
  const asOwner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('begin');
    await sql.query('set local session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('commit');
  };
  const alerts = () => sql.query<{ text: string }>("select text from alert where kind = 'ledger.entry-missed'");
  const told = () =>
    sql.query<{ is: string }>(
      "select sensitive->>'is' as is from ledger_sealed where kind = 'ledger.entry-missed' union all select sensitive->>'is' from ledger_fresh where kind = 'ledger.entry-missed'",
    );
  await look();
  return { sql, sealer, ask, look, asOwner, alerts, told };
}

type World = Awaited<ReturnType<typeof setUp>>;
const remove = "delete from ledger_fresh where kind = 'operator.asked'";

const ways: Readonly<Record<string, (world: World) => Promise<void>>> = {
  'a release for a clock': async ({ asOwner, look }) => {
    await asOwner(`insert into ledger_freeze (id, why, text, facts) values (gen_random_uuid(), 'clock', 'x', '{}')`);
    await look();
    await asOwner(
      remove,
      'update ledger_freeze set released_at = now(), era = 2, change_id = gen_random_uuid()',
      'update ledger_state set era = era + 1',
    );
    await look();
  },
  'an era for a moment': async ({ asOwner, look }) => {
    await asOwner('update ledger_state set era = era + 1');
    await look();
    await asOwner('update ledger_state set era = era - 1', remove);
  },
  'a row among the sealed ones for a moment': async ({ sql, asOwner, look }) => {
    await sql.query('select ledger_month(now())');
    await asOwner(
      `insert into ledger_sealed select 20000, '00000000-0000-0000-0000-000000000000', 20000, sha256('s'), sha256('l'), f.* from ledger_fresh f`,
      remove,
    );
    await look(3);
    await asOwner('delete from ledger_sealed');
  },
};

for (const [name, way] of Object.entries(ways))
  test(`${name} does not make the admin process forget what it wrote`, async (t) => {
    const world = await setUp(t);
    const { sealer, ask, look, alerts, told } = world;
    await ask();
    await look();
    t.same([await alerts(), await told()], [[], []], 'twin: it waits');
    await way(world);
    await look(3);
    t.match(await alerts(), [
      { text: /\(operator\.asked\) that the admin process wrote is neither waiting nor sealed/ },
    ]);
    t.same(await told(), [{ is: 'gone' }]);
    await sealer.seal();
    await look(3);
    t.equal((await told()).length, 1, 'once');
  });

test('twin: what is sealed, or waits through an honest release, is not told of', async (t) => {
  const { sealer, ask, look, asOwner, alerts, told } = await setUp(t, 1000);
  await ask();
  await look();
  await asOwner('update ledger_state set era = era + 1');
  await look(2);
  await sealer.seal();
  for (let i = 0; i < 8; i += 1) {
    await look();
    await delay(200);
  }
  t.same([await alerts(), await told()], [[], []], 'sealed for long enough, and never late');
  await asOwner('delete from ledger_sealed');
  await look(3);
  t.same(await alerts(), [], 'it was forgotten');
});
