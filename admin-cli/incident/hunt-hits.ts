// Owns: combining what an indicator hit in the database and what it hit in the archives.
import { namesShownMax } from '../../server/rpc/operators/incident.ts';
import type { ArchivedHits } from './archive-hunt.ts';

const sooner = (a: string | null, b: string | null): string | null =>
  a === null || b === null ? (a ?? b) : a < b ? a : b;
const later = (a: string | null, b: string | null): string | null =>
  a === null || b === null ? (a ?? b) : a > b ? a : b;
const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].sort();

function kindsOf(a: ArchivedHits, b: ArchivedHits): { kind: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { kind, count } of [...a.kinds, ...b.kinds]) counts.set(kind, (counts.get(kind) ?? 0) + count);
  return [...counts]
    .map(([kind, count]) => ({ kind, count }))
    .sort((x, y) => y.count - x.count || (x.kind < y.kind ? -1 : 1));
}

/**
 * Returns both results together: the sums, the whole time span, all names. A session with entries in the archives and
 * in the database is counted twice.
 */
export function united(found: ArchivedHits | null, archived: ArchivedHits | null): ArchivedHits | null {
  if (found === null || archived === null) return found ?? archived;
  const [accounts, customers] = [union(found.accounts, archived.accounts), union(found.customers, archived.customers)];
  return {
    hits: found.hits + archived.hits,
    first: sooner(found.first, archived.first),
    last: later(found.last, archived.last),
    sessions: found.sessions + archived.sessions,
    accounts: accounts.slice(0, namesShownMax),
    customers: customers.slice(0, namesShownMax),
    kinds: kindsOf(found, archived),
    more: found.more || archived.more || accounts.length > namesShownMax || customers.length > namesShownMax,
  };
}
