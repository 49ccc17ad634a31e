// A freeze names the size to which a release of it takes the record back: that of the heads that are there when it is
// written.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { recordFreeze, wholeFreeze } from '../../server/warden/ledger/freezes.ts';
import type { Look } from '../../server/warden/ledger/seal-queries.ts';
import { createTestDatabase } from '../support/database.ts';
import { TestSealer, writeEntries } from '../support/record.ts';

test('a freeze that is written after a round counts the head of that round', async (t) => {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const sealer = new TestSealer(warden);
  for (let round = 0; round < 3; round += 1) {
    await writeEntries(sql, null, 1);
    await sealer.seal();
  }
  const [{ heads, era } = { heads: 0, era: 0 }] = await sql.query<{ heads: number; era: number }>(
    'select (select count(*)::int from ledger_head) as heads, era from ledger_state',
  );
  t.equal(heads, 3);
  /** As a warden finds it that looked when the heads log had this size. */
  const written = async (seen: number): Promise<unknown> => {
    const look = { era, heads: seen, now: Date.now() } as unknown as Look;
    const found = wholeFreeze(randomUUID(), { why: 'diverged', text: 'a test', facts: { seen } }, look, undefined);
    const freeze = await warden.withSystem((tx) => recordFreeze(tx, found));
    const [row] = await sql.query<{ heads: number }>(
      "select (facts ->> 'heads')::int as heads from ledger_freeze where id = $1",
      [found.id],
    );
    return [freeze.facts.heads, row?.heads];
  };
  t.same(await written(heads - 1), [heads, heads], 'a round was under way');
  t.same(await written(heads), [heads, heads], 'none was');
  t.same(await written(heads + 2), [heads + 2, heads + 2], 'heads were taken away: what was seen counts');
});
