// Owns: a record that was sealed long ago, in its own month, as the sealer did it then: for tests of what becomes of
// old months.
import type { Database, Transaction } from '../../server/postgres/database.ts';
import type { Signing } from '../../server/warden/ledger/seal.ts';
import type { Sealed } from '../../server/warden/ledger/sealer.ts';
import type { TestDatabase } from './database.ts';
import { sealOnce, sealWithin } from './record.ts';

/**
 * SQL for an instant this many months ago (the number, or the placeholder of one), in the middle of its month: whatever
 * day it is today, what a test writes within days of it belongs to that month and to no other.
 */
export const longAgo = (months: number | '$1' = '$1'): string =>
  `((date_trunc('month', clock_timestamp() at time zone 'utc') - ${months} * interval '1 month' + interval '14 days') at time zone 'utc')`;

/** The sealer is told a time that is this many microseconds earlier. */
const earlier = ({ query }: Transaction, micros: number): Transaction => ({
  query: async (text, values) => {
    const rows = await query(text, values);
    return rows.map((row) =>
      'era' in row && typeof row.now === 'number' ? { ...row, now: row.now - micros } : row,
    ) as never;
  },
});

/** Seals what waits as it would have been sealed this many months ago, a little after the entries were written. */
export async function sealLongAgo(
  database: Database,
  sql: TestDatabase,
  signing: Signing,
  months: number,
): Promise<readonly Sealed[]> {
  await sql.query('select ledger_month(at) from ledger_fresh');
  const [row] = await sql.query<{ micros: number }>(
    `select (extract(epoch from clock_timestamp() - (${longAgo()} + interval '1 hour')) * 1000000)::float8 as micros`,
    [months],
  );
  const rounds: Sealed[] = [];
  for (;;) {
    const round = await database.withSystem((tx) => sealWithin(earlier(tx, Math.round(row?.micros ?? 0)), signing));
    rounds.push(round);
    if (round.isFull) continue;
    // What was signed then is in no row: what is there is signed once more.
    await sealOnce(database, signing, true);
    return rounds;
  }
}

/** Every existing head counts as witnessed. */
export const witnessAll = async (sql: TestDatabase): Promise<void> => {
  await sql.query(
    'update ledger_state set witnessed_size = (select count(*) from ledger_head), witnessed_at = clock_timestamp()',
  );
};
