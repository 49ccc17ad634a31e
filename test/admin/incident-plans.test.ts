// How a scope looks up its entries: by the index of their sessions when those are few, in one go otherwise.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { goBySessions } from '../../server/admin/incident/selection-queries.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';

test('few sessions of a large record are looked up by their index', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]));
  const sessions = Array.from({ length: 3 }, () => randomUUID());
  const seen = (chosen: readonly string[] | null): Promise<readonly unknown[]> =>
    admin.withSnapshot(
      { timeoutMs: 20_000, workMemory: '256MB', signal: new AbortController().signal },
      async (snapshot) => {
        const isFew = await goBySessions(snapshot, chosen);
        const [setting] = await snapshot.query<{ scan: string; helpers: string }>(
          "select current_setting('enable_seqscan') as scan, current_setting('max_parallel_workers_per_gather') as helpers",
        );
        const plan = await snapshot.query<{ 'QUERY PLAN': string }>(
          'explain (costs off) select count(*) from ledger l where l.session_id = any ($1::uuid[])',
          [sessions],
        );
        return [
          isFew,
          setting?.scan,
          setting?.helpers,
          plan.some((row) => row['QUERY PLAN'].includes('Seq Scan on ledger_sealed')),
        ];
      },
    );
  t.match(await seen(sessions), [false, 'on', '2'], 'nobody has counted the record yet');
  const sealer = new TestSealer(warden);
  await writeEntries(sql, await newCustomer(sql, 'acme'), 1000);
  await sealer.seal();
  await sql.query('analyze ledger_sealed');
  t.same(await seen(sessions.slice(0, 2)), [true, 'off', '0', false], 'two sessions of a thousand entries');
  t.match(await seen(sessions), [false, 'on', '2'], 'three are no small part of it');
  t.match(await seen(null), [false, 'on', '2'], 'nor is everything');
});
