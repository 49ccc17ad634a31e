// Owns: the SQL of what doctor says about operators, emergencies, seals and missing budgets.
import type { BudgetDirection, ScopeKind } from '../../domain/budgets/words.ts';
import type { Transaction } from '../../postgres/database.ts';

export type PeopleFacts = {
  readonly operators: number;
  /** The number of active security officers with a key in use. */
  readonly officers: number;
  readonly unreviewed: readonly { readonly id: string; readonly operator: string }[];
  /** The number of rows with a broken seal that were found within the last 7 days. */
  readonly brokenSeals: number;
  /** Scopes that lack a budget in a direction, at most 20. Those of self-tests are left out. */
  readonly missingBudgets: readonly MissingBudget[];
};

export type MissingBudget = {
  readonly scope: ScopeKind;
  readonly name: string | null;
  readonly customer: string | null;
  readonly direction: BudgetDirection;
};

export async function peopleFacts(tx: Transaction): Promise<PeopleFacts> {
  const [row] = await tx.query<{ operators: number; officers: number; broken: number }>(
    `select (select count(*) from operator) as operators,
       (select count(*) from operator o where o.state = 'active' and o.role = 'security-officer'
          and exists (select 1 from operator_key k where k.operator_id = o.id and k.ended_at is null)) as officers,
       (select count(distinct subject) from alert where kind = 'row.broken-seal' and last_at > clock_timestamp() - interval '7 days') as broken`,
  );
  const unreviewed = await tx.query<{ id: string; operator: string }>(
    `select g.id, o.name as operator from break_glass g join operator o on o.id = g.operator_id where g.opened_at is not null and g.reviewed_at is null
     order by g.opened_at`,
  );
  const missingBudgets = await tx.query<MissingBudget>(
    'select scope, name, customer_name as customer, direction from missing_budgets() where not is_self_test limit 20',
  );
  return {
    operators: row?.operators ?? 0,
    officers: row?.officers ?? 0,
    brokenSeals: row?.broken ?? 0,
    unreviewed,
    missingBudgets,
  };
}
