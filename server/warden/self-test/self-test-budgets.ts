// Owns: the budgets of self-test accounts: room for every round of a week, never for the large file.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import type { Caps, ScopeBudget } from '../../domain/budgets.ts';
import { largeBytes, opensPerRoundMax } from '../../domain/self-test-round.ts';

const caps = (value: number): Caps => ({ hour: value, day: value, week: value });
/** Rounds that an hour may have: one in ten seconds. */
const roundsPerHour = 360;
const perHour = roundsPerHour * opensPerRoundMax;
const names: Caps = { hour: perHour, day: 24 * perHour, week: 168 * perHour };
/** Starts with nothing to be read yet: each puts both files anew. */
const put = (starts: number): number => starts * 2 * largeBytes;
const account: ScopeBudget = {
  // A new key pays for the small file once a day; half of the large one is several hundred keys a week.
  out: { bytes: caps(largeBytes / 2), files: caps(1000), rate: 1024 ** 2 },
  in: { bytes: { hour: put(12), day: put(48), week: put(144) }, files: caps(1000), rate: 1024 ** 2 },
  list: { names },
  sessions: 8,
};

export function selfTestBudgets(defaults: BudgetDefaults): BudgetDefaults {
  // The account's cap is what is tested: its customer, which is this node's alone, must not refuse before.
  const customer: ScopeBudget = { ...account, out: { ...account.out, bytes: caps(16 * largeBytes) }, sessions: 16 };
  return { ...defaults, credential: account, internalCredential: account, account, customer };
}
