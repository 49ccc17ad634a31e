// Owns: the finite budgets that every scope has from the moment it exists.
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import type { Caps, ScopeBudget } from '../../domain/budgets.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertBudget, type Scope, scopesWithoutBudgets } from './budget-queries.ts';

const nothing: Caps = { hour: 0, day: 0, week: 0 };

function defaultsOf(scope: Scope, defaults: BudgetDefaults): ScopeBudget {
  if (scope.kind === 'credential' && scope.customer === null) return defaults.internalCredential;
  return defaults[scope.kind];
}

/** The three rows of a scope (out, in, list); rows that are there stay as they are. */
export async function createBudgets(tx: Transaction, scope: Scope, defaults: BudgetDefaults): Promise<void> {
  const given = defaultsOf(scope, defaults);
  const ceilingPercent = scope.kind === 'plane' || scope.kind === 'gateway' ? defaults.ceilingPercent : 100;
  for (const direction of ['out', 'in'] as const)
    await insertBudget(tx, scope, {
      direction,
      bytes: given[direction].bytes,
      items: given[direction].files,
      rate: given[direction].rate,
      sessionsMax: direction === 'out' ? given.sessions : null,
      ceilingPercent,
    });
  await insertBudget(tx, scope, {
    direction: 'list',
    bytes: nothing,
    items: given.list.names,
    rate: null,
    sessionsMax: null,
    ceilingPercent,
  });
}

/** At the warden's start: every scope that exists has its rows. */
export async function completeBudgets(tx: Transaction, defaults: BudgetDefaults): Promise<void> {
  for (const scope of await scopesWithoutBudgets(tx)) await createBudgets(tx, scope, defaults);
}
