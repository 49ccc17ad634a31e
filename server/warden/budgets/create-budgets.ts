// Owns: the finite budgets that every scope has from the moment it exists, and what becomes of one that was deleted.
// Must never: make a budget anew that operators had changed: it would be as wide as it was given first.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import { type BudgetDirection, budgetDirections, type Caps, type ScopeBudget, scopeOnCommandLine } from '../../domain/budgets.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { generationsOf } from '../changes/generations.ts';
import { firstBroken } from '../changes/seals.ts';
import type { KeyRing, Warden } from '../context.ts';
import { passOverRows } from '../row-passes.ts';
import { insertBudget, type MissingBudget, missingBudgets, type NewBudget, type Scope } from './budget-queries.ts';

const nothing: Caps = { hour: 0, day: 0, week: 0 };

function defaultsOf(scope: Scope, defaults: BudgetDefaults): ScopeBudget {
  if (scope.kind === 'credential' && scope.customer === null) return defaults.internalCredential;
  return defaults[scope.kind];
}

/** What a scope gets in this direction from the moment it exists. */
export function defaultBudget(scope: Scope, direction: BudgetDirection, defaults: BudgetDefaults): NewBudget {
  const given = defaultsOf(scope, defaults);
  const ceilingPercent = scope.kind === 'plane' || scope.kind === 'gateway' ? defaults.ceilingPercent : 100;
  if (direction === 'list') return { direction, bytes: nothing, items: given.list.names, rate: null, sessionsMax: null, ceilingPercent };
  const { bytes, files: items, rate } = given[direction];
  return { direction, bytes, items, rate, sessionsMax: direction === 'out' ? given.sessions : null, ceilingPercent };
}

/** The three rows of a scope (out, in, list); rows that are there stay as they are. */
export async function createBudgets(tx: Transaction, scope: Scope, defaults: BudgetDefaults): Promise<void> {
  for (const direction of budgetDirections) await insertBudget(tx, scope, defaultBudget(scope, direction, defaults));
}

/**
 * At the warden's start: every scope that exists has its rows. Except those of which the record says that they were changed: somebody deleted such a row, and
 * what operators had narrowed would come back as it was given first. These are told, and grant nothing until two operators set them anew.
 */
export async function completeBudgets(tx: Transaction, keys: KeyRing, defaults: BudgetDefaults): Promise<void> {
  const missing = await missingBudgets(tx);
  if (missing.length === 0) return;
  const known = generationsOf(keys);
  // Entries of an earlier version do not say of which scope a budget was. While such a row is not there, any of those that are missing may be it.
  const mayBeAny = (await firstBroken(tx, keys, known.unplacedBudgets())) !== undefined;
  for (const one of missing) {
    if (mayBeAny || known.budgetAt(one.place) > 0) await tellMissing(tx, one);
    else await insertBudget(tx, one.scope, defaultBudget(one.scope, one.direction, defaults));
  }
}

/** A scope without a budget grants nothing. Two operators give it one. */
export async function tellMissing(tx: Transaction, { scope, direction, name, customerName, place }: MissingBudget): Promise<void> {
  const words = scopeOnCommandLine(scope.kind, name, customerName);
  await insertAlert(tx, {
    kind: 'budget.missing',
    severity: 'critical',
    subject: place,
    ...('customer' in scope ? { customer: scope.customer } : {}),
    text: `the budget ${direction} of ${words.replace(/^--/, '').replace(' --', ', ')} is not there: somebody deleted it. Nothing is granted through it until two operators set it anew`,
    facts: { scope: scope.kind, direction, name, customer: customerName },
    nextCommand: `cofferctl budget set ${words} --direction ${direction} --files-day N --reason TEXT`,
  });
}

/** The regular pass: what was deleted since the start. A self-test's are its node's to make. */
export async function watchMissing(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  const find = async (tx: Transaction): Promise<readonly MissingBudget[]> => (await missingBudgets(tx)).filter((one) => !one.isSelfTest);
  await passOverRows(warden, 'missing-budgets', {
    find: async (tx) => (await find(tx)).map((one) => one.place),
    work: async (tx, places) => {
      for (const one of await find(tx)) if (places.includes(one.place)) await tellMissing(tx, one);
    },
  });
}
