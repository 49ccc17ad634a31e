// Owns: the budgets of self-test accounts. They have room for all rounds of a week, but never for the large file.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import type { Caps, ScopeBudget } from '../../domain/budgets/words.ts';
import { largeBytes, opensPerRoundMax } from '../../domain/self-test-round.ts';

const caps = (value: number): Caps => ({ hour: value, day: value, week: value });
/** The largest number of rounds in an hour: one in ten seconds. */
const roundsPerHour = 360;
const perHour = roundsPerHour * opensPerRoundMax;
const names: Caps = { hour: perHour, day: 24 * perHour, week: 168 * perHour };
/** The bytes that so many starts may store. At a start nothing is there to be read, so each stores both files anew. */
const put = (starts: number): number => starts * 2 * largeBytes;
const account: ScopeBudget = {
  // A new key pays for the small file once a day. Half of the large file is enough for several hundred keys a week.
  out: { bytes: caps(largeBytes / 2), files: caps(1000), rate: 1024 ** 2 },
  in: { bytes: { hour: put(12), day: put(48), week: put(144) }, files: caps(1000), rate: 1024 ** 2 },
  list: { names },
  sessions: 8,
};

export function selfTestBudgets(defaults: BudgetDefaults): BudgetDefaults {
  // The cap of the account is what is tested. The customer belongs to this node alone, and its caps must not refuse
  // first.
  const customer: ScopeBudget = { ...account, out: { ...account.out, bytes: caps(16 * largeBytes) }, sessions: 16 };
  return { ...defaults, credential: account, internalCredential: account, account, customer };
}
