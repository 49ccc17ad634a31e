// Owns: waiting until every process has seen sealed what it wrote, so that a row of the record that is changed
// afterwards is found by what the test is about.
import { setTimeout as delay } from 'node:timers/promises';

const patienceMs = 20_000;
/** Four beats of the sealer, and one look of the admin process. */
const looksMs = 1500;

/** `query`: as the owner of the database. Throws when entries still wait for their seal after 20 seconds. */
export async function recordIsSettled(
  query: (text: string) => Promise<readonly { readonly n: number | string }[]>,
): Promise<void> {
  const waiting = async (): Promise<number> =>
    Number((await query('select count(*)::int as n from ledger_fresh'))[0]?.n);
  for (const end = performance.now() + patienceMs; (await waiting()) > 0; await delay(50))
    if (performance.now() > end) throw new Error('entries wait for their seal');
  await delay(looksMs);
}
