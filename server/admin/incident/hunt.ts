// Owns: looking for a page of indicators in the whole record.
import { type Indicator, indicatorTypes } from '../../domain/incident/indicators.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { type IndicatorHits, namesShownMax } from '../../rpc/operators/incident.ts';
import { findHits, type Hit } from './hunt-queries.ts';
import { spanOfRecord } from './selection-queries.ts';

function shown({ first, last, accounts, customers, ...hit }: Hit): IndicatorHits {
  return {
    ...hit,
    first: first.toISOString(),
    last: last.toISOString(),
    accounts: accounts.slice(0, namesShownMax),
    customers: customers.slice(0, namesShownMax),
    kinds: [...hit.kinds],
    more: accounts.length > namesShownMax || customers.length > namesShownMax,
  };
}

/** Returns the indicators that occur, in the order in which they were given. */
export async function hunt(
  snapshot: Snapshot,
  indicators: readonly Indicator[],
): Promise<{ readonly found: readonly IndicatorHits[]; readonly completeFrom: string | null }> {
  const { oldestOnline } = await spanOfRecord(snapshot);
  const found: IndicatorHits[] = [];
  for (const type of indicatorTypes) {
    const values = indicators.flatMap((one, index) => (one.type === type ? [{ index, value: one.value }] : []));
    if (values.length > 0) found.push(...(await findHits(snapshot, type, values, namesShownMax)).map(shown));
  }
  return { found: found.sort((a, b) => a.index - b.index), completeFrom: oldestOnline };
}
