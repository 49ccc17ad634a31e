// Owns: the budgets of self-test accounts: room for the small file, never for the large one, and for the deposits of both.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import type { Caps, ScopeBudget } from '../../domain/budgets.ts';

const caps = (value: number): Caps => ({ hour: value, day: value, week: value });
const tiny: ScopeBudget = {
  out: { bytes: caps(4096), files: caps(1000), rate: 1024 ** 2 },
  // Each start of an edge may put both files anew.
  in: { bytes: { hour: 4 * 1024 ** 2, day: 16 * 1024 ** 2, week: 64 * 1024 ** 2 }, files: caps(1000), rate: 1024 ** 2 },
  list: { names: caps(100) },
  sessions: 8,
};

export function selfTestBudgets(defaults: BudgetDefaults): BudgetDefaults {
  // All nodes share the customer: it must not refuse what the account allows.
  const customer: ScopeBudget = { ...tiny, out: { ...tiny.out, bytes: caps(1024 ** 2) }, sessions: 256 };
  return { ...defaults, credential: tiny, internalCredential: tiny, account: tiny, customer };
}
