// Owns: what operators change about budgets, each inside its command's own transaction and on the record.
// Must never: lower a total that was counted, or change a row that was not locked in the order in which grants lock.
import { budgetWindows, consequences, scopeOfRank, scopeRanks } from '../../domain/budgets/words.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { type BudgetChange, type ScopeName, type ScopeParams, scopeName } from '../../rpc/operators/budget.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Doing } from '../commands/doing.ts';
import { record } from '../ledger/entries/record.ts';
import { declareRelied, purposeOf } from '../seals/declared.ts';
import { isFoundAltered } from '../seals/seals.ts';
import { type LockedBudget, lockBudgetsOf, releaseHeadroom, writeBudget } from './budget-command-queries.ts';
import { insertBudget, type MissingBudget, missingBudgets } from './budget-queries.ts';
import { defaultBudget } from './create-budgets.ts';

type Changed = Result<OperatorToAdmin, 'budget.set'>;

const noScope = (): CofferdamError => new CofferdamError('not-found', 'there is no such scope, or it has no budget');

async function lockScope(tx: Transaction, scope: ScopeParams): Promise<readonly LockedBudget[]> {
  const rows = await lockBudgetsOf(tx, scopeName(scope), 'to-rely');
  if (rows.length === 0) throw noScope();
  return rows;
}

type Caps = LockedBudget['bytes'];
const merged = (before: Caps, given: BudgetChange['bytes']): Caps => ({
  hour: given?.hour ?? before.hour,
  day: given?.day ?? before.day,
  week: given?.week ?? before.week,
});

function changedRow(before: LockedBudget, change: BudgetChange): LockedBudget {
  if (change.ceilingPercent !== undefined && before.rank < 4)
    throw new CofferdamError('invalid', 'only plane and gateway have a ceiling above their cap');
  if (change.sessions !== undefined && before.direction !== 'out')
    throw new CofferdamError('invalid', 'sessions are counted once, with direction out');
  if (before.direction === 'list' && (change.bytes !== undefined || change.rate !== undefined))
    throw new CofferdamError('invalid', 'lists are counted in names only');
  return {
    ...before,
    bytes: merged(before.bytes, change.bytes),
    items: merged(before.items, change.items),
    rate: change.rate ?? before.rate,
    sessionsMax: change.sessions ?? before.sessionsMax,
    ceilingPercent: change.ceilingPercent ?? before.ceilingPercent,
    headroomPercent: change.headroomPercent ?? before.headroomPercent,
    consequence: change.consequence ?? before.consequence,
    isHeadroomApproved: change.headroomPercent !== undefined,
  };
}

/** Returns the names of what becomes wider. A rate of null means no limit. */
function widened(before: LockedBudget, after: LockedBudget): readonly string[] {
  const caps = (['bytes', 'items'] as const).flatMap((unit) =>
    budgetWindows
      .filter((window) => after[unit][window] > before[unit][window])
      .map((window) => `${unit} per ${window}`),
  );
  return [
    ...caps,
    ...((after.rate ?? Number.POSITIVE_INFINITY) > (before.rate ?? Number.POSITIVE_INFINITY) ? ['rate'] : []),
    ...((after.sessionsMax ?? 0) > (before.sessionsMax ?? 0) ? ['sessions'] : []),
    ...(after.ceilingPercent > before.ceilingPercent ? ['ceiling'] : []),
    ...(after.isHeadroomApproved && after.headroomPercent > 0 ? ['headroom'] : []),
    ...(consequences.indexOf(after.consequence) < consequences.indexOf(before.consequence) ? ['consequence'] : []),
  ];
}

/**
 * Returns the names of the requested values that can make a budget only wider, whatever it held before: headroom, and
 * the mildest consequence. When a row was altered and cannot be compared, only these count as wider.
 */
const alwaysWider = ({ headroomPercent = 0, consequence }: BudgetChange): readonly string[] => [
  ...(headroomPercent > 0 ? ['headroom'] : []),
  ...(consequence === consequences[0] ? ['consequence'] : []),
];

/** Returns a scope in words. There is one gateway, so it has no name of its own. */
const scopeWords = (kind: ScopeName['kind'], label: string): string =>
  kind === 'gateway' ? 'the gateway' : `${kind} ${label}`;

const isNamed = ({ scope, name, customerName, isSelfTest }: MissingBudget, wanted: ScopeName): boolean =>
  !isSelfTest &&
  scope.kind === wanted.kind &&
  name === wanted.name &&
  (wanted.customer === null || wanted.customer === customerName);

/**
 * Declares the rows to which a new budget will belong. They were found by name, so they must be what the warden wrote.
 */
async function relyOnScope(tx: Transaction, { scope, name, customerName }: MissingBudget): Promise<void> {
  if (scope.kind === 'credential')
    await declareRelied(tx, { kind: 'credential', id: scope.credential }, { fingerprint: name });
  if (scope.kind === 'account') await declareRelied(tx, { kind: 'account', id: scope.account }, { name });
  if (scope.kind === 'account' || scope.kind === 'customer')
    await declareRelied(
      tx,
      { kind: 'customer', id: scope.customer },
      { name: scope.kind === 'customer' ? name : customerName },
    );
}

/**
 * Makes the budgets that this scope lacks, from the defaults and the requested values, and returns their names. Only a
 * change by two operators may do this, because nobody else may bring back what was deleted (decision 33). Throws
 * `conflict` when a budget is missing and `mayWiden` is false.
 */
async function setMissing(params: BudgetChange, doing: Doing, mayWiden: boolean): Promise<readonly string[]> {
  const { tx, warden, operator, widen } = doing;
  const wanted = scopeName(params.scope);
  const made: string[] = [];
  for (const one of await missingBudgets(tx)) {
    if (one.direction !== params.direction || !isNamed(one, wanted)) continue;
    const { scope, direction } = one;
    const label = [one.name ?? 'gateway', ...(one.customerName === null ? [] : [one.customerName])].join(' ');
    if (!mayWiden)
      throw new CofferdamError(
        'conflict',
        `the budget of ${label} is missing: two operators set it anew (cofferctl budget set)`,
      );
    await relyOnScope(tx, one);
    const given = defaultBudget(scope, direction, warden.budgets);
    const rest = {
      headroomPercent: 0,
      consequence: 'refuse',
      isHeadroomSpent: false,
      isHeadroomApproved: false,
    } as const;
    const customer = 'customer' in scope ? scope.customer : null;
    const after = changedRow({ ...given, ...rest, id: 0, rank: scopeRanks[scope.kind], label, customer }, params);
    const wider = [`the missing budget of ${scopeWords(scope.kind, label)} (direction ${direction})`];
    widen(wider);
    await insertBudget(tx, scope, after, after);
    made.push(...wider);
    await record(tx, {
      kind: 'budget.changed',
      customer,
      observer: 'warden',
      public: { scope: scope.kind, label, direction, before: null, after: figures(after), wider },
      sensitive: { operator, reason: params.reason },
    });
  }
  return made;
}

async function change(params: BudgetChange, doing: Doing, mayWiden: boolean): Promise<Changed> {
  const { tx, warden, operator, widen } = doing;
  const { scope: _scope, direction, reason, ...wanted } = params;
  if (
    Object.values(wanted).every(
      (value) => value === undefined || (typeof value === 'object' && Object.keys(value).length === 0),
    )
  )
    throw new CofferdamError('invalid', 'nothing to change was named');
  const found = await lockBudgetsOf(tx, scopeName(params.scope), 'to-narrow');
  const rows = found.filter((row) => row.direction === direction);
  const made = await setMissing(params, doing, mayWiden);
  if (found.length === 0 && made.length === 0) throw noScope();
  const all = new Set<string>(made);
  for (const before of rows) {
    const after = changedRow(before, params);
    const isAltered = await isFoundAltered(tx, warden.keys, { kind: 'budget', id: String(before.id) });
    const wider = isAltered ? alwaysWider(params) : widened(before, after);
    if (!mayWiden && wider.length > 0)
      throw new CofferdamError(
        'denied',
        `this would widen ${wider.join(', ')}: use budget set, which a second operator approves`,
      );
    for (const one of wider) all.add(one);
    widen(wider.map((one) => `${one} of ${scopeWords(scopeOfRank(before.rank), before.label)}`));
    await writeBudget(tx, after, purposeOf(wider));
    await record(tx, {
      kind: 'budget.changed',
      customer: before.customer,
      observer: 'warden',
      public: {
        scope: scopeOfRank(before.rank),
        label: before.label,
        direction,
        before: figures(before),
        after: figures(after),
        wider,
      },
      sensitive: { operator, reason },
    });
  }
  return { changed: rows.length + made.length, widened: [...all] };
}

const figures = ({
  bytes,
  items,
  rate,
  sessionsMax,
  ceilingPercent,
  headroomPercent,
  consequence,
}: LockedBudget): Record<string, unknown> => ({
  bytes,
  items,
  rate,
  sessionsMax,
  ceilingPercent,
  headroomPercent,
  consequence,
});

export const budgetUseCases = {
  'budget.set': (params: BudgetChange, doing: Doing) => change(params, doing, true),
  'budget.tighten': (params: BudgetChange, doing: Doing) => change(params, doing, false),

  'budget.release': async (
    { scope, hours, reason }: Params<OperatorToAdmin, 'budget.release'>,
    { tx, operator }: Doing,
  ) => {
    const rows = (await lockScope(tx, scope)).filter((row) => row.headroomPercent > 0);
    const [row] = rows;
    if (row === undefined)
      throw new CofferdamError('conflict', 'no headroom was approved for this scope: see budget set --headroom');
    if (rows.some((one) => one.isHeadroomSpent))
      throw new CofferdamError('conflict', 'this headroom was released before; it has to be approved again');
    const until = await releaseHeadroom(
      tx,
      rows.map((one) => one.id),
      hours,
    );
    const facts = {
      scope: scopeOfRank(row.rank),
      label: row.label,
      percent: row.headroomPercent,
      until: until.toISOString(),
    };
    await record(tx, {
      kind: 'budget.headroom-released',
      customer: row.customer,
      observer: 'warden',
      public: facts,
      sensitive: { operator, reason },
    });
    await insertAlert(tx, {
      kind: 'budget.headroom-released',
      severity: 'critical',
      subject: `${row.id}`,
      customer: row.customer,
      text: `${operator} released ${row.headroomPercent} % headroom of ${facts.scope} ${row.label} until ${facts.until}: ${reason}`,
      facts: { ...facts, operator, reason },
      nextCommand: 'cofferctl budget show',
    });
    return { until: facts.until, percent: row.headroomPercent };
  },
};
