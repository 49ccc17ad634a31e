// Owns: the SQL of the counters of failed guesses, and of the sources from which accounts have logged in. One call
// decides and counts, so that neither parallel attempts nor other nodes gain an extra guess.
import type { AccountId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { now } from '../../postgres/now.ts';

/**
 * Takes a guess from all of these counters; `subjects` are their names (`penalties.ts` makes them). The first
 * `rules.free` failures cost no pause; the pause after the next one is `rules.firstMs`, and doubles up to
 * `rules.longestMs`. After `rules.forgetMs` without a guess a counter begins anew.
 *
 * `waitMs` is the number of milliseconds until the next guess may be made; 0 means that this guess was
 * taken now, and it counts as failed until it is settled. `takenAt` is the time at which it was taken (microseconds
 * since 1970), by which the guess can be given back; 0 when it was not taken.
 */
export async function takeGuess(
  tx: Transaction,
  subjects: readonly string[],
  rules: { readonly free: number; readonly firstMs: number; readonly longestMs: number; readonly forgetMs: number },
): Promise<{ readonly waitMs: number; readonly takenAt: number }> {
  const [row] = await tx.query<{ wait: number }>('select take_guess($1, $2, $3, $4, $5) as wait', [
    subjects,
    rules.free,
    rules.firstMs,
    rules.longestMs,
    rules.forgetMs,
  ]);
  if (row?.wait !== 0) return { waitMs: row?.wait ?? Number.POSITIVE_INFINITY, takenAt: 0 };
  // This transaction holds the locks of the counters until its end, so what they say now is the result of this guess.
  const [taken] = await tx.query<{ at: number }>(
    'select micros(max(last_at)) as at from login_penalty where subject = any ($1)',
    [subjects],
  );
  return { waitMs: 0, takenAt: taken?.at ?? 0 };
}

/** Takes back one count, and the pause that this guess caused. A pause that a later guess caused remains. */
export async function returnGuess(tx: Transaction, subjects: readonly string[], takenAt: number): Promise<void> {
  await tx.query(
    `with locked as (select subject from login_penalty where subject = any ($1) order by subject for update)
     update login_penalty p set failures = greatest(p.failures - 1, 0),
         blocked_until = case when micros(p.last_at) = $2::bigint then '-infinity' else p.blocked_until end
       from locked where locked.subject = p.subject`,
    [subjects, takenAt],
  );
}

/** Removes a right guess from its counters and ends their pauses. The counter of a known source begins anew. */
export async function settleGuess(tx: Transaction, subjects: readonly string[]): Promise<void> {
  await tx.query('select settle_guess($1)', [subjects]);
}

/** Returns whether the account has logged in from this source within so many milliseconds. */
export async function isKnownSource(
  tx: Transaction,
  account: AccountId,
  source: string,
  withinMs: number,
): Promise<boolean> {
  const rows = await tx.query(
    "select 1 from known_source where account_id = $1 and source = $2::inet and last_at > clock_timestamp() - $3 * interval '1 millisecond'",
    [account, source, withinMs],
  );
  return rows.length === 1;
}

export async function rememberSource(tx: Transaction, account: AccountId, source: string): Promise<void> {
  await tx.query(
    `insert into known_source (account_id, source) values ($1, $2::inet)
     on conflict (account_id, source) do update set last_at = clock_timestamp() where known_source.last_at < clock_timestamp() - interval '1 minute'`,
    [account, source],
  );
}

/**
 * Deletes the counters of an account, wherever the guesses came from; an operator asked for it. Returns how many
 * counters there were.
 */
export async function forgetGuesses(tx: Transaction, account: AccountId): Promise<number> {
  return (
    await tx.query(
      "delete from login_penalty where subject like 'account/' || $1 || '/%' or subject like 'known/' || $1 || '/%' returning 1",
      [account],
    )
  ).length;
}

export async function sweepGuesses(tx: Transaction, forgetMs: number): Promise<void> {
  await tx.query(
    `delete from login_penalty where last_at < ${now} - $1 * interval '1 millisecond' and blocked_until < clock_timestamp()`,
    [forgetMs],
  );
}
