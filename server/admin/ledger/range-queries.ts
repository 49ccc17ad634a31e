// Owns: the SQL that finds how far back an answer about a window reaches, and what it reads outside of the range that
// was proved.
import type { Snapshot } from '../../postgres/snapshot.ts';

/**
 * Returns when the earliest session was opened that left an entry from `since` on, or null when there is none. It is
 * believed until the range that begins there was proved (`strayOfRange`).
 */
export async function earliestOpening(snapshot: Snapshot, since: string): Promise<string | null> {
  const [row] = await snapshot.query<{ at: Date | null }>(
    `select min(o.at) as at from (select distinct w.session_id from ledger_sealed w where w.at >= $1 and w.session_id is not null) w
       join ledger_sealed o on o.session_id = w.session_id and o.kind = 'session.opened'`,
    [since],
  );
  return row?.at?.toISOString() ?? null;
}

/**
 * Returns whether the answer reads an entry that stands before the range: one from the window; one of a session that
 * was opened within the range; or one of a session of the window whose opening is not within the range. `sizes` are the
 * numbers of the entries of each tree before the range.
 */
export async function strayOfRange(
  snapshot: Snapshot,
  sizes: ReadonlyMap<string, number>,
  since: string,
): Promise<boolean> {
  const [row] = await snapshot.query<{ stray: boolean }>(
    `with before as materialized (select * from unnest($1::uuid[], $2::bigint[]) b(tree, size)),
       opened as materialized (select o.session_id from ledger_sealed o left join before b on b.tree = o.tree
         where o.kind = 'session.opened' and o.session_id is not null and o.position >= coalesce(b.size, 0))
     select exists (select from ledger_sealed w join before b on b.tree = w.tree where w.position < b.size and w.at >= $3)
       or exists (select from ledger_sealed w where w.at >= $3 and w.session_id is not null and w.session_id not in (select o.session_id from opened o))
       or exists (select from opened o join ledger_sealed x on x.session_id = o.session_id join before b on b.tree = x.tree where x.position < b.size) as stray`,
    [[...sizes.keys()], [...sizes.values()], since],
  );
  return row?.stray === true;
}
