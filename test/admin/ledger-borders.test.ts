// A search reads the record range by range: an entry at the border of two ranges is found, once.
import { test } from 'tap';
import { searchLedger } from '../../server/admin/ledger/reading.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';

const newest = 62_000;
/** The first range has 20,000 numbers; after a quick one comes a range of twice as many. */
const windows = [20_000, 40_000, 60_000];

test('entries at every border of what one statement reads are found, each once, page by page', async (t) => {
  const sql = await createTestDatabase(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => admin.close());
  const marked = [newest, newest - 1, ...windows.flatMap((size) => [1, 0, -1].map((by) => newest - size + by)), 2, 1];
  await sql.query('select ledger_month(clock_timestamp())');
  await sql.query(
    `insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, node, public, sensitive)
     select n, '00000000-0000-0000-0000-000000000000', n - 1, sha256('s'), sha256('l'), n, clock_timestamp(), 'login.refused', 'warden',
       case when n = any ($2::bigint[]) then 'marked' else 'n' end, '{}', '{}' from generate_series(1, $1::int) n`,
    [newest, marked],
  );
  await sql.query('update ledger_state set number = $1', [newest]);
  const { entries, more } = await searchLedger(admin, { filter: { node: 'marked' }, before: null, limit: 100 });
  t.same(
    entries.map((entry) => entry.number),
    marked,
    'in one call over all windows, newest first',
  );
  t.equal(more, false);
  const found: number[] = [];
  let pages = 0;
  for (let before: number | null = null; pages < 100; pages += 1) {
    const page = await searchLedger(admin, { filter: { node: 'marked' }, before, limit: 3 });
    found.push(...page.entries.map((entry) => entry.number ?? 0));
    if (!page.more) break;
    before = page.reached;
  }
  t.same(found, marked, 'and page by page, the next one from where the last one ended');
  t.ok(pages >= 3, `${pages + 1} pages`);
});
