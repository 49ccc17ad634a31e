// Owns: composing what operators read about budgets: use against caps, the course of a window, what a credential could
// take now.
import { historyOf } from '../../domain/budgets/history.ts';
import { roomInEach, sharePercent } from '../../domain/budgets/room.ts';
import { type BudgetUnit, budgetWindows, scopeOfRank } from '../../domain/budgets/words.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { type ScopeParams, scopeName } from '../../rpc/operators/budget.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import {
  type BudgetRow,
  budgetsOf,
  budgetsOfRead,
  exposedCustomers,
  findExposedCredential,
  fullestBudgets,
  snapshotsOf,
} from './budget-queries.ts';

type Shown = Result<OperatorToAdmin, 'budget.show'>['budgets'][number];

function shown(row: BudgetRow): Shown {
  const {
    rank,
    label,
    direction,
    rate,
    sessionsMax,
    sessionsOpen,
    ceilingPercent,
    headroomPercent,
    headroomUntil,
    isHeadroomSpent,
  } = row;
  return {
    scope: scopeOfRank(rank),
    label,
    direction,
    windows: budgetWindows.map((window) => ({
      window,
      bytes: { used: row.used.bytes[window], cap: row.caps.bytes[window] },
      items: { used: row.used.items[window], cap: row.caps.items[window] },
    })),
    rate,
    sessionsMax,
    sessionsOpen,
    ceilingPercent,
    headroomPercent,
    headroomUntil: headroomUntil?.toISOString() ?? null,
    isHeadroomSpent,
    consequence: row.consequence,
  };
}

async function require(tx: Transaction, scope: ScopeParams): Promise<readonly BudgetRow[]> {
  const rows = await budgetsOf(tx, scopeName(scope));
  if (rows.length === 0)
    throw new CofferdamError(
      'not-found',
      'there is no such scope, or it has no budget: see `cofferctl account list` and `credential list`',
    );
  return rows;
}

export async function showBudgets(tx: Transaction, scope: ScopeParams | undefined): Promise<readonly Shown[]> {
  return (scope === undefined ? await fullestBudgets(tx) : await require(tx, scope)).map(shown);
}

/** Returns the course of one window of a budget. Throws `invalid` when the scope has several such budgets. */
export async function budgetHistory(
  tx: Transaction,
  { scope, direction, unit, window }: Params<OperatorToAdmin, 'budget.history'>,
): Promise<Result<OperatorToAdmin, 'budget.history'>> {
  const rows = (await require(tx, scope)).filter((row) => row.direction === direction);
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new CofferdamError('invalid', 'this account works for several customers: name one with --customer');
  const series = await snapshotsOf(tx, row.id, unit);
  return {
    label: row.label,
    cap: row.caps[unit][window],
    used: row.used[unit][window],
    buckets: historyOf(series.snapshots, series.total, series.base, series.nowMinute, window).map(
      ({ fromMinute, amount, since }) => ({
        from: new Date(fromMinute * 60_000).toISOString(),
        amount,
        since,
      }),
    ),
  };
}

/**
 * Returns how much may still be read within the caps of all these scopes together. The caps are raised by their
 * ceilings, because a slow thief gets that much.
 */
function roomsOf(
  rows: readonly (BudgetRow & { readonly isShare: boolean })[],
): Result<OperatorToAdmin, 'exposure'>['customers'][number]['room'] {
  const customer = rows.find((row) => row.rank === 3);
  const rooms = rows.flatMap(({ caps, ceilingPercent, used, isShare }) => [
    roomInEach(caps, ceilingPercent, used),
    ...(isShare && customer !== undefined ? [roomInEach(customer.caps, sharePercent, used)] : []),
  ]);
  return budgetWindows.map((window) => {
    // A read is charged to five scopes. When the budget of one is missing, nothing can be read.
    const room = (unit: BudgetUnit): number =>
      rows.length < 5 ? 0 : Math.max(0, Math.min(...rooms.map((one) => one[unit][window])));
    return { window, bytes: room('bytes'), files: room('items') };
  });
}

/** Returns what a credential could read now, by customer. Throws `not-found` when there is no such credential. */
export async function exposureOf(
  tx: Transaction,
  fingerprint: string,
  dormantMs: number,
): Promise<Omit<Result<OperatorToAdmin, 'exposure'>, 'more'>> {
  const credential = await findExposedCredential(tx, fingerprint, dormantMs);
  if (credential === undefined)
    throw new CofferdamError(
      'not-found',
      'no account has a credential with this fingerprint: see `cofferctl credential list`',
    );
  const customers = [];
  for (const { id, ...facts } of await exposedCustomers(tx, credential.accountId, credential.id))
    customers.push({ ...facts, room: roomsOf(await budgetsOfRead(tx, credential.id, credential.accountId, id)) });
  const { account, kind, plane, blocked, expiresAt, openSessions } = credential;
  return { account, kind, plane, blocked, expiresAt: expiresAt.toISOString(), openSessions, customers };
}
