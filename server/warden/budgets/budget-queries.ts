// Owns: the SQL of budget rows: creating them, finding scopes that have none, and thinning the snapshots that their
// windows no longer need.
import {
  type BudgetDirection,
  type Caps,
  type Consequence,
  type ScopeKind,
  scopeRanks,
} from '../../domain/budgets/words.ts';
import type { AccountId, CredentialId, CustomerId, Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { now } from '../../postgres/now.ts';
import { declareNew } from '../seals/declared.ts';
import { budgetNameOf } from '../seals/generations.ts';

export type Scope =
  | { readonly kind: 'credential'; readonly credential: CredentialId; readonly customer: CustomerId | null }
  | {
      readonly kind: 'account';
      readonly account: AccountId;
      readonly customer: CustomerId;
      readonly isInternal: boolean;
    }
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
/** The properties of a budget that only operators set. */
type BudgetRest = { readonly headroomPercent: number; readonly consequence: Consequence };

/** Returns the facts that identify a budget by its scope and direction. */
const factsOfName = (scope: Scope, direction: BudgetDirection) => ({
  rank: scopeRanks[scope.kind],
  direction,
  credential_id: scope.kind === 'credential' ? scope.credential : null,
  account_id: scope.kind === 'account' ? scope.account : null,
  customer_id: 'customer' in scope ? scope.customer : null,
  plane: scope.kind === 'plane' ? scope.plane : null,
});

export type MissingBudget = {
  readonly scope: Scope;
  readonly direction: BudgetDirection;
  /** The name of the budget in the record (`budgetNameOf`). */
  readonly budgetName: string;
  /** The name of its scope in the words of operators. */
  readonly name: string | null;
  readonly customerName: string | null;
  readonly isSelfTest: boolean;
};

/** Creates a budget. A row that exists stays as it is. */
export async function insertBudget(
  tx: Transaction,
  scope: Scope,
  given: NewBudget,
  rest: Partial<BudgetRest> = {},
): Promise<void> {
  // While a customer has several credentials, a partner credential may use at most half of the customer's caps; so may
  // an internal account that works for the customer.
  const isShare = scope.kind === 'credential' ? scope.customer !== null : scope.kind === 'account' && scope.isInternal;
  const { headroomPercent, consequence } = { headroomPercent: 0, consequence: 'refuse' as const, ...rest };
  const facts = {
    ...factsOfName(scope, given.direction),
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
    headroom_percent: headroomPercent,
    consequence,
  };
  const [row] = await tx.query<{ id: number }>(
    `insert into budget (rank, direction, credential_id, account_id, customer_id, plane, cap_hour_bytes, cap_day_bytes, cap_week_bytes,
       cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent, is_share, headroom_percent, consequence)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) on conflict do nothing returning id`,
    Object.values(facts),
  );
  if (row !== undefined) declareNew(tx, { kind: 'budget', id: String(row.id) }, facts);
}

/**
 * Returns, for each scope that exists, the directions for which it has no budget. Nothing is granted through such a
 * scope.
 */
export async function missingBudgets(tx: Transaction): Promise<readonly MissingBudget[]> {
  const rows = await tx.query<{
    kind: ScopeKind;
    id: string | null;
    customer_id: string | null;
    plane: Plane | null;
    is_internal: boolean;
    direction: BudgetDirection;
    name: string | null;
    customer_name: string | null;
    is_self_test: boolean;
  }>(
    'select scope as kind, id, customer_id, plane, is_internal, direction, name, customer_name, is_self_test from missing_budgets()',
  );
  return rows.map((row) => {
    const scope = shapeScope(row);
    return {
      scope,
      direction: row.direction,
      budgetName: budgetNameOf(factsOfName(scope, row.direction)),
      name: row.name,
      customerName: row.customer_name,
      isSelfTest: row.is_self_test,
    };
  });
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
      return {
        kind: 'account',
        account: row.id as AccountId,
        customer: customer as CustomerId,
        isInternal: row.is_internal,
      };
    case 'customer':
      return { kind: 'customer', customer: customer as CustomerId };
    case 'plane':
      return { kind: 'plane', plane: row.plane ?? 'partner' };
    case 'gateway':
      return { kind: 'gateway' };
  }
}

/** How many budgets one turn thins. The largest number of snapshots of one budget is some 400. */
const thinnedAtOnce = 20;

/**
 * Thins the snapshots of the next few budgets: one a minute is kept for an hour, then one for each quarter of an hour,
 * after a day one for each hour, and none after a week. Of each span the newest stays. A missing snapshot can only make
 * the count too high, never too low. `after` is what the turn before returned, and null at first: the last budget that
 * was thinned, or null when all have had their turn.
 */
export async function thinBudgets(tx: Transaction, after: number | null): Promise<number | null> {
  const rows = await tx.query<{ id: number }>(
    'select id from budget where $1::bigint is null or id > $1 order by id limit $2',
    [after, thinnedAtOnce],
  );
  await tx.query(
    `delete from budget_snapshot s using budget b where b.id = any ($1::bigint[]) and s.budget_id = b.id and s.minute < b.minute - 61 and (
       s.minute < b.minute - 10141
       or (s.minute < b.minute - 1441 and exists (select 1 from budget_snapshot n where n.budget_id = s.budget_id and n.minute > s.minute and n.minute / 60 = s.minute / 60))
       or exists (select 1 from budget_snapshot n where n.budget_id = s.budget_id and n.minute > s.minute and n.minute / 15 = s.minute / 15))`,
    [rows.map((row) => row.id)],
  );
  return rows.length < thinnedAtOnce ? null : (rows.at(-1)?.id ?? null);
}

/** Deletes the marks of what was paid for more than 25 hours ago. */
export async function forgetCharged(tx: Transaction): Promise<void> {
  await tx.query(`delete from charged_item where charged_at < ${now} - interval '25 hours'`);
}
