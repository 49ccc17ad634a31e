// The row of a freeze that the warden found cannot be passed off as another one: operators are shown, and
// release, what was found.
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

test('two operators cannot release what they were not shown', async (t) => {
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
  await query('begin');
  await query("set local idle_in_transaction_session_timeout = '10min'");
  await query('select 1 from ledger_state for update');
  await put('stolen');
  await query('set local session_replication_role = replica');
  await query('delete from ledger_fresh');
  await query('commit');
  let found: Status['freeze'] = null;
  for (const end = performance.now() + 60_000; found === null && performance.now() < end; await delay(200))
    found = (await world.cofferctlJson<Status>(['ledger', 'status'])).freeze;
  t.equal(found?.why, 'diverged', `twin: the warden misses it: ${found?.text}`);
  const exchange = async (): Promise<void> => {
    await query('begin');
    await query('set local session_replication_role = replica');
    await query("update ledger_freeze set why = 'clock', text = 'the clock jumped by 34 s'");
    await query("delete from alert where kind = 'ledger.frozen'");
    await query("delete from ledger_fresh where kind = 'ledger.frozen'");
    await query('commit');
  };
  await exchange();
  await delay(3000);
  const { freeze } = await world.cofferctlJson<Status>(['ledger', 'status']);
  t.match(
    freeze,
    { freeze: found?.freeze, why: 'diverged', text: found?.text },
    'operators are shown what the warden found',
  );
  const alerts = await query("select text from alert where kind = 'ledger.frozen'");
  t.match(alerts, [
    {
      text: /The row of this freeze was changed in the database and is written back; it said: the clock jumped by 34 s/,
    },
  ]);
  // Somebody changes the row again and again: a release of what it says then ends nothing.
  const lie = setInterval(
    () => void owner.query("update ledger_freeze set why = 'clock' where released_at is null").catch(() => {}),
    20,
  );
  t.teardown(() => clearInterval(lie));
  const harmless = await world.cofferctl([
    'ledger',
    'release',
    freeze?.freeze ?? '',
    '--reason',
    'the clock is right again',
  ]);
  clearInterval(lie);
  t.comment(`${harmless.code} ${harmless.out} ${harmless.err}`);
  await delay(1000);
  t.not((await world.sftp('acme-batch', ['ls'])).code, 0, 'nobody is served');
  const again = (await world.cofferctlJson<Status>(['ledger', 'status'])).freeze;
  t.match(again, { freeze: found?.freeze, why: 'diverged' });
  const released = await world.cofferctl(['ledger', 'release', again?.freeze ?? '', '--reason', 'the loss is known']);
  t.equal(released.code, 0, `twin: the freeze that was found: ${released.err}`);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0, 'ends');
});
