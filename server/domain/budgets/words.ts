// Owns: the words of budgets: scopes, directions, units, windows and caps, and what becomes of an item that is to be
// charged.

/**
 * The rank of each scope: the order in which budget rows are locked, from the narrowest scope to the widest. Narrow
 * scopes refuse first; wide ones slow traffic down first.
 */
export const scopeRanks = { credential: 1, account: 2, customer: 3, plane: 4, gateway: 5 } as const;
export type ScopeKind = keyof typeof scopeRanks;
export const scopeKinds = Object.keys(scopeRanks) as readonly ScopeKind[];
export const scopeOfRank = (rank: number): ScopeKind => scopeKinds[rank - 1] ?? 'gateway';

/**
 * Returns a scope as the options that `cofferctl` takes. `name` is that of the credential, account, customer or plane;
 * `customer` is the one at which an account has the budget.
 */
export function scopeOnCommandLine(kind: ScopeKind, name: string | null, customer: string | null): string {
  if (kind === 'gateway') return '--gateway';
  return `--${kind} ${name ?? ''}${kind === 'account' && customer !== null ? ` --customer ${customer}` : ''}`;
}

/** Returns the name of a budget in a sentence, such as `the budget of customer acme for direction out`. */
export function budgetInWords(
  kind: ScopeKind,
  name: string | null,
  customer: string | null,
  direction: BudgetDirection,
): string {
  const scope = kind === 'gateway' ? 'the gateway' : `${kind} ${name ?? ''}`;
  const atCustomer = kind === 'account' && customer !== null ? ` at customer ${customer}` : '';
  return `the budget of ${scope}${atCustomer} for direction ${direction}`;
}

/** What is counted. `out`: what is released to readers. `in`: what writers store. `list`: names that were told. */
export const budgetDirections = ['out', 'in', 'list'] as const;
export type BudgetDirection = (typeof budgetDirections)[number];
/** An item is a file in the directions `out` and `in`, and a name in the direction `list`. */
export type BudgetUnit = 'bytes' | 'items';
export const budgetWindows = ['hour', 'day', 'week'] as const;
export type BudgetWindow = (typeof budgetWindows)[number];
export const windowMinutes = { hour: 60, day: 1440, week: 10_080 } as const satisfies Record<BudgetWindow, number>;
export const consequences = ['refuse', 'end-sessions', 'suspend'] as const;
export type Consequence = (typeof consequences)[number];

/**
 * What becomes of an item that is to be charged; the functions of the database say the same words
 * (migrations/functions/charges.sql). `granted`: charged to every scope. `repeat`: an extent for which the credential
 * paid within 24 h. `later`: plane or gateway is past its cap. `over-limit`: a cap refuses. `session`: the session, or
 * what it relies on, is not good any more. `missing`: there is no such extent, scope or budget.
 */
export const chargeOutcomes = ['granted', 'repeat', 'later', 'over-limit', 'session', 'missing'] as const;
export type ChargeOutcome = (typeof chargeOutcomes)[number];

/** One cap for each window. */
export type Caps = { readonly hour: number; readonly day: number; readonly week: number };
/** An amount in both units: what one item costs, or what was counted. */
export type Amount = Readonly<Record<BudgetUnit, number>>;
/** An amount in both units for each window: caps, or what the windows hold. */
export type WindowAmounts = Readonly<Record<BudgetUnit, Caps>>;
/** The budget that a scope has from its creation on. `rate` is in bytes per second on the wire. */
export type ScopeBudget = {
  readonly out: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly in: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly list: { readonly names: Caps };
  readonly sessions: number;
};

export const capMax = 2 ** 50;
