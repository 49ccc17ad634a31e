// Owns: the SQL of budget rows: making them, finding scopes without them, thinning what their windows no longer need.
import { type BudgetDirection, type Caps, type ScopeKind, scopeRanks } from '../../domain/budgets.ts';
import type { AccountId, CredentialId, CustomerId, Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareNew } from '../changes/declared.ts';

export type Scope =
  | { readonly kind: 'credential'; readonly credential: CredentialId; readonly customer: CustomerId | null }
  | { readonly kind: 'account'; readonly account: AccountId; readonly customer: CustomerId; readonly isInternal: boolean }
  | { readonly kind: 'customer'; readonly customer: CustomerId }
  | { readonly kind: 'plane'; readonly plane: Plane }
  | { readonly kind: 'gateway' };

export type NewBudget = {
  readonly direction: BudgetDirection;
  readonly bytes: Caps;
  readonly items: Caps;
  readonly rate: number | null;
  readonly sessionsMax: number | null;
  readonly ceilingPercent: number;
};

/** A row that is there stays as it is. */
export async function insertBudget(tx: Transaction, scope: Scope, given: NewBudget): Promise<void> {
  // A partner credential, and an internal account on one customer, may use at most half of that customer's caps while there are several.
  const isShare = scope.kind === 'credential' ? scope.customer !== null : scope.kind === 'account' && scope.isInternal;
  const facts = {
    rank: scopeRanks[scope.kind],
    direction: given.direction,
    credential_id: scope.kind === 'credential' ? scope.credential : null,
    account_id: scope.kind === 'account' ? scope.account : null,
    customer_id: 'customer' in scope ? scope.customer : null,
    plane: scope.kind === 'plane' ? scope.plane : null,
    cap_hour_bytes: given.bytes.hour,
    cap_day_bytes: given.bytes.day,
    cap_week_bytes: given.bytes.week,
    cap_hour_items: given.items.hour,
    cap_day_items: given.items.day,
    cap_week_items: given.items.week,
    rate: given.rate,
    sessions_max: given.sessionsMax,
    ceiling_percent: given.ceilingPercent,
    is_share: isShare,
  };
  const [row] = await tx.query<{ id: number }>(
    `insert into budget (rank, direction, credential_id, account_id, customer_id, plane, cap_hour_bytes, cap_day_bytes, cap_week_bytes,
       cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent, is_share)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) on conflict do nothing returning id`,
    Object.values(facts),
  );
  if (row !== undefined) declareNew(tx, { kind: 'budget', id: String(row.id) }, { ...facts, headroom_percent: 0, consequence: 'refuse' });
}

/** Scopes that exist and have fewer than their three rows: left by a version that knew fewer budgets. */
export async function scopesWithoutBudgets(tx: Transaction): Promise<readonly Scope[]> {
  const rows = await tx.query<{
    kind: ScopeKind;
    id: string | null;
    customer_id: string | null;
    plane: Plane | null;
    is_internal: boolean;
  }>(
    `select 'credential' as kind, c.id, a.customer_id, null as plane, false as is_internal from credential c join account a on a.id = c.account_id
       where (select count(*) from budget b where b.rank = 1 and b.credential_id = c.id) < 3
     union all
     select distinct 'account', a.id, r.customer_id, null, a.customer_id is null from folder_right r join account a on a.id = r.account_id
       where (select count(*) from budget b where b.rank = 2 and b.account_id = a.id and b.customer_id = r.customer_id) < 3
     union all
     select 'customer', null, c.id, null, false from customer c where (select count(*) from budget b where b.rank = 3 and b.customer_id = c.id) < 3
     union all
     select 'plane', null, null, p, false from unnest(array['partner', 'internal']) p where (select count(*) from budget b where b.rank = 4 and b.plane = p) < 3
     union all
     select 'gateway', null, null, null, false where (select count(*) from budget b where b.rank = 5) < 3`,
  );
  return rows.map((row) => shapeScope(row));
}

function shapeScope(row: {
  readonly kind: ScopeKind;
  readonly id: string | null;
  readonly customer_id: string | null;
  readonly plane: Plane | null;
  readonly is_internal: boolean;
}): Scope {
  const customer = row.customer_id as CustomerId | null;
  switch (row.kind) {
    case 'credential':
      return { kind: 'credential', credential: row.id as CredentialId, customer };
    case 'account':
      return { kind: 'account', account: row.id as AccountId, customer: customer as CustomerId, isInternal: row.is_internal };
    case 'customer':
      return { kind: 'customer', customer: customer as CustomerId };
    case 'plane':
      return { kind: 'plane', plane: row.plane ?? 'partner' };
    case 'gateway':
      return { kind: 'gateway' };
  }
}

/**
 * Snapshots thin out with age (each minute for an hour, then one a quarter of an hour, after a day one an hour) and go after a week:
 * the newest of a span stays, so that a missing one can only over-count. Marks of what was paid for go after 25 hours.
 */
export async function thinBudgets(tx: Transaction): Promise<void> {
  await tx.query(
    `delete from budget_snapshot s using budget b where b.id = s.budget_id and (
       s.minute < b.minute - 10141
       or (s.minute < b.minute - 1441 and exists (select 1 from budget_snapshot n where n.budget_id = s.budget_id and n.minute > s.minute and n.minute / 60 = s.minute / 60))
       or (s.minute < b.minute - 61 and exists (select 1 from budget_snapshot n where n.budget_id = s.budget_id and n.minute > s.minute and n.minute / 15 = s.minute / 15)))`,
  );
  await tx.query("delete from charged_item where charged_at < clock_timestamp() - interval '25 hours'");
}
