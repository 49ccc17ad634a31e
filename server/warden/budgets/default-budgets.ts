// Owns: the finite budget that every account has from the moment it exists.
import type { Limits } from '../../config/config.ts';
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAccountBudget } from './grant-queries.ts';

export function createDefaultBudgets(tx: Transaction, account: AccountId, customer: CustomerId, limits: Limits): Promise<void> {
  return insertAccountBudget(tx, account, customer, {
    hour: limits.budgetHourBytes,
    day: limits.budgetDayBytes,
    week: limits.budgetWeekBytes,
  });
}
