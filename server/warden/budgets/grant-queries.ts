// Owns: the SQL of grants and budgets.
import type { AccountId, CustomerId, SessionId } from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';

export type Refusal = {
  readonly outcome: 'over-limit';
  readonly window: 'hour' | 'day' | 'week';
  readonly cap: number;
  readonly freeAt: Date | null;
};
export type GrantAnswer = { readonly outcome: 'granted' | 'repeat' | 'session' | 'missing' } | Refusal;

/** One answer per item, in order; resolves after the commit. */
export async function callGrantExtents(
  database: Database,
  items: readonly { readonly session: SessionId; readonly download: string; readonly index: number }[],
): Promise<readonly GrantAnswer[]> {
  const rows = await database.call<{
    item: number;
    outcome: 'granted' | 'repeat' | 'session' | 'missing' | 'over-limit';
    window_name: Refusal['window'] | null;
    cap: number | null;
    free_at: Date | null;
  }>('select item, outcome, window_name, cap, free_at from grant_extents($1::uuid[], $2::uuid[], $3::int[]) order by item', [
    items.map((one) => one.session),
    items.map((one) => one.download),
    items.map((one) => one.index),
  ]);
  return rows.map((row) =>
    row.outcome === 'over-limit'
      ? { outcome: row.outcome, window: row.window_name ?? 'hour', cap: row.cap ?? 0, freeAt: row.free_at }
      : { outcome: row.outcome },
  );
}

export type Caps = { readonly hour: number; readonly day: number; readonly week: number };

/** The budget of account × customer (rank 2). Without its row every grant is refused. */
export async function insertAccountBudget(tx: Transaction, account: AccountId, customer: CustomerId, caps: Caps): Promise<void> {
  await tx.query(
    'insert into budget (rank, account_id, customer_id, cap_hour, cap_day, cap_week) values (2, $1, $2, $3, $4, $5) on conflict do nothing',
    [account, customer, caps.hour, caps.day, caps.week],
  );
}

export async function thinSnapshots(tx: Transaction): Promise<void> {
  await tx.query('delete from budget_snapshot s using budget b where b.id = s.budget_id and s.minute < b.minute - 10081');
  await tx.query("delete from charged_extent where charged_at < clock_timestamp() - interval '25 hours'");
}
