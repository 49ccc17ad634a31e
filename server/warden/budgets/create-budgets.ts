// Owns: the finite budgets that every scope has from the moment it exists, and the treatment of budgets that somebody
// deleted.
// Must never: make a new default budget in the place of one that operators had changed, because the default could be
// wider.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import {
  type BudgetDirection,
  budgetDirections,
  budgetInWords,
  type Caps,
  type ScopeBudget,
  scopeOnCommandLine,
} from '../../domain/budgets/words.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { passOverRows } from '../passes/row-passes.ts';
import { generationsOf } from '../seals/generations.ts';
import { firstBroken } from '../seals/seals.ts';
import { insertBudget, type MissingBudget, missingBudgets, type NewBudget, type Scope } from './budget-queries.ts';

const nothing: Caps = { hour: 0, day: 0, week: 0 };

function defaultsOf(scope: Scope, defaults: BudgetDefaults): ScopeBudget {
  if (scope.kind === 'credential' && scope.customer === null) return defaults.internalCredential;
  return defaults[scope.kind];
}

/** Returns the budget that a scope has in this direction from the moment it exists. */
export function defaultBudget(scope: Scope, direction: BudgetDirection, defaults: BudgetDefaults): NewBudget {
  const given = defaultsOf(scope, defaults);
  const ceilingPercent = scope.kind === 'plane' || scope.kind === 'gateway' ? defaults.ceilingPercent : 100;
  if (direction === 'list')
    return { direction, bytes: nothing, items: given.list.names, rate: null, sessionsMax: null, ceilingPercent };
  const { bytes, files: items, rate } = given[direction];
  return { direction, bytes, items, rate, sessionsMax: direction === 'out' ? given.sessions : null, ceilingPercent };
}

/** Creates the three budgets of a scope (out, in, list). Rows that exist stay as they are. */
export async function createBudgets(tx: Transaction, scope: Scope, defaults: BudgetDefaults): Promise<void> {
  for (const direction of budgetDirections) await insertBudget(tx, scope, defaultBudget(scope, direction, defaults));
}

/**
 * Gives every scope that exists its budgets, at the warden's start. A missing budget of which the record says that it
 * was changed is not made anew: somebody deleted its row, and the default would undo what operators had narrowed. Such
 * budgets are reported in alerts, and nothing is granted through them until two operators set them again.
 */
export async function completeBudgets(tx: Transaction, keys: KeyRing, defaults: BudgetDefaults): Promise<void> {
  const missing = await missingBudgets(tx);
  if (missing.length === 0) return;
  const known = generationsOf(keys);
  // An entry about a budget may fail to say which scope the budget belonged to. While the row of such a budget is
  // missing, or its seal does not verify, every missing budget could be the one that operators had changed.
  const mayBeAny = (await firstBroken(tx, keys, known.unnamedBudgets())) !== undefined;
  for (const one of missing) {
    if (mayBeAny || known.newestBudget(one.budgetName) > 0) await tellMissing(tx, one);
    else await insertBudget(tx, one.scope, defaultBudget(one.scope, one.direction, defaults));
  }
}

/**
 * Raises the alert that a budget is missing. The scope grants nothing in this direction until two operators set the
 * budget again.
 */
async function tellMissing(
  tx: Transaction,
  { scope, direction, name, customerName, budgetName }: MissingBudget,
): Promise<void> {
  const words = scopeOnCommandLine(scope.kind, name, customerName);
  await insertAlert(tx, {
    kind: 'budget.missing',
    severity: 'critical',
    subject: budgetName,
    ...('customer' in scope ? { customer: scope.customer } : {}),
    text: `${budgetInWords(scope.kind, name, customerName, direction)} is missing: somebody deleted it. Nothing is granted through it until two operators set it anew`,
    facts: { scope: scope.kind, direction, name, customer: customerName },
    nextCommand: `cofferctl budget set ${words} --direction ${direction} --files-day N --reason TEXT`,
  });
}

/**
 * Raises, as a regular pass, the alert for every missing budget. Budgets of self-tests are left out, because each node
 * creates those anew when it begins its next self-test.
 */
export async function watchMissing(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  const find = async (tx: Transaction): Promise<readonly MissingBudget[]> =>
    (await missingBudgets(tx)).filter((one) => !one.isSelfTest);
  await passOverRows(warden, 'missing-budgets', {
    find: async (tx) => (await find(tx)).map((one) => one.budgetName),
    work: async (tx, names) => {
      for (const one of await find(tx)) if (names.includes(one.budgetName)) await tellMissing(tx, one);
    },
  });
}
