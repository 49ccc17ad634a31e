// How a scope has its entries looked up: by the index of their sessions when those are few, in one go otherwise.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { goBySessions } from '../../server/admin/incident/selection-queries.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, Sealer, writeEntries } from '../support/record.ts';

test('few sessions of a large record are looked up by their index', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]));
  const sessions = Array.from({ length: 3 }, () => randomUUID());
  const seen = (chosen: readonly string[] | null): Promise<readonly unknown[]> =>
    admin.withSnapshot({ timeoutMs: 20_000, workMemory: '256MB', signal: new AbortController().signal }, async (snapshot) => {
      await goBySessions(snapshot, chosen);
      const [setting] = await snapshot.query("select current_setting('enable_seqscan') as scan");
      const plan = await snapshot.query<{ 'QUERY PLAN': string }>(
        'explain (costs off) select count(*) from ledger l where l.session_id = any ($1::uuid[])',
        [sessions],
      );
      return [setting?.scan, plan.some((row) => row['QUERY PLAN'].includes('Seq Scan on ledger_sealed'))];
    });
  t.match(await seen(sessions), ['on'], 'nobody has counted the record yet');
  const sealer = new Sealer(warden);
  await writeEntries(sql, await newCustomer(sql, 'acme'), 1000);
  await sealer.seal();
  await sql.query('analyze ledger_sealed');
  t.same(await seen(sessions.slice(0, 2)), ['off', false], 'two sessions of a thousand entries');
  t.match(await seen(sessions), ['on'], 'three are no small part of it');
  t.match(await seen(null), ['on'], 'nor is everything');
});
