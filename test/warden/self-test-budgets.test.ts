// T-20: the self-test works for as long as a node serves: what its rounds use in a week fits into its budgets, and no
// other node can use them.
import { test } from 'tap';
import { defaultBudgets } from '../../server/config/default-budgets.ts';
import type { Caps } from '../../server/domain/budgets/words.ts';
import { largeBytes, opensPerRoundMax, smallBytes } from '../../server/domain/self-test-round.ts';
import { selfTestBudgets } from '../../server/warden/self-test/self-test-budgets.ts';

/** A round each 15 s; the default of the configuration is one in 90 s. */
const roundsPerHour = 240;
/** One key a day, and a node that is started anew every half hour: each key's first reading is charged. */
const keysPerWeek = 7 * 48;
/** Starts at which there was nothing to read yet, within an hour. */
const putsPerHour = 12;

test('a week of rounds fits into the budgets of a self-test, and the large file never does', async (t) => {
  const budgets = selfTestBudgets(defaultBudgets);
  const fits = (caps: Caps, perHour: number, name: string): void => {
    t.ok(caps.hour >= perHour, `${name}: an hour`);
    t.ok(caps.day >= 24 * perHour, `${name}: a day`);
    t.ok(caps.week >= 168 * perHour, `${name}: a week`);
  };
  for (const scope of ['credential', 'internalCredential', 'account', 'customer'] as const) {
    const { out, list } = budgets[scope];
    fits(list.names, roundsPerHour * opensPerRoundMax, `names of ${scope}`);
    t.ok(out.bytes.week >= keysPerWeek * smallBytes && out.files.week >= keysPerWeek, `the small file, ${scope}`);
    t.ok(budgets[scope].in.bytes.hour >= putsPerHour * (smallBytes + largeBytes), `what is put, ${scope}`);
  }
  for (const scope of ['credential', 'internalCredential', 'account'] as const)
    t.ok(
      Object.values(budgets[scope].out.bytes).every((cap) => cap < largeBytes),
      `the large file is refused by the cap of ${scope}`,
    );
  t.ok(
    budgets.customer.out.bytes.hour > 2 * largeBytes,
    'it is the cap of the account that bites, not that of its customer',
  );
});
