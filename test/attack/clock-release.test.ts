// A release for a clock gives up nothing: entries that were taken out while a forged freeze kept the sealer still are
// missed after that freeze is released.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { test } from 'tap';
import { witnessed } from '../support/verified-record.ts';
import { startWorld } from '../support/world.ts';

type Status = {
  readonly era: number;
  readonly freeze: { readonly freeze: string; readonly why: string; readonly text: string } | null;
};

test('what was taken out during a freeze for a clock is missed after its release', async (t) => {
  const world = await startWorld(t);
  const put = async (name: string): Promise<void> => {
    const local = join(world.directory, name);
    writeFileSync(local, name);
    t.equal((await world.sftpWhenServed('acme-batch', [`put ${local} deposit/${name}`])).code, 0, `${name} is put`);
  };
  await put('before');
  await witnessed(world);
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const query = async (text: string): Promise<readonly Record<string, unknown>[]> => (await owner.query(text)).rows;
  await query("select set_config('cofferdam.customers', '*', false)");
  const second = new pg.Client({ connectionString: world.databaseUrl });
  await second.connect();
  t.teardown(() => second.end());
  await query('begin');
  await query("set local idle_in_transaction_session_timeout = '10min'");
  await query('select 1 from ledger_state for update');
  await put('stolen');
  // From another connection: the wardens see it and stop, and what waits is not sealed any more.
  await second.query(`insert into ledger_freeze (id, why, text, facts) select gen_random_uuid(), 'clock', 'the database''s clock jumped by 34 s: budgets and the record cannot be told the time by it',
    jsonb_build_object('witnessedEra', s.era, 'witnessedAt', '', 'witnessedSize', t.size, 'witnessedRoot', '', 'heads', t.size, 'era', s.era, 'jumpedMs', 34000)
    from ledger_state s, ledger_tree t where t.tree = 'ffffffff-ffff-ffff-ffff-ffffffffffff'`);
  await delay(5000);
  await query('set local session_replication_role = replica');
  t.not((await query('delete from ledger_fresh returning id')).length, 0, 'entries waited');
  await query('commit');
  await delay(3000);
  const { freeze } = await world.cofferctlJson<Status>(['ledger', 'status']);
  t.equal(freeze?.why, 'clock', freeze?.text ?? 'nothing is frozen');
  const released = await world.cofferctl([
    'ledger',
    'release',
    freeze?.freeze ?? '',
    '--reason',
    'the clock is right again',
  ]);
  t.equal(released.code, 0, released.out + released.err);
  let missed: Status['freeze'] = null;
  for (const end = performance.now() + 60_000; missed === null && performance.now() < end; await delay(200))
    missed = (await world.cofferctlJson<Status>(['ledger', 'status'])).freeze;
  t.match(missed, {
    why: 'diverged',
    text: /that this warden wrote is neither waiting nor sealed, and so are \d+ more/,
  });
  // What two operators give up knowingly is told by number, kind and time, in an alert and in the record.
  const given = await world.cofferctl(['ledger', 'release', missed?.freeze ?? '', '--reason', 'the loss is known']);
  t.equal(given.code, 0, given.out + given.err);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0, 'customers are served again');
  const [told] = await query("select text, severity from alert where kind = 'ledger.given-up'");
  t.match(told, {
    severity: 'critical',
    text: /gave up what this warden wrote from 20\S+ to 20\S+ .*: \d+ [a-z]+\.[a-z]+/,
  });
  t.equal((await query("select 1 from ledger where kind = 'ledger.given-up'")).length, 1);
});
