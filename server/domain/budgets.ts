// Owns: the words of budgets: scopes, directions, units, windows and caps, and how amounts are written and read.

/**
 * The rank of each scope: the order in which budget rows are locked, from the narrowest scope to the widest. Narrow
 * scopes refuse first; wide ones slow traffic down first.
 */
export const scopeRanks = { credential: 1, account: 2, customer: 3, plane: 4, gateway: 5 } as const;
export type ScopeKind = keyof typeof scopeRanks;
export type ScopeRank = (typeof scopeRanks)[ScopeKind];
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

/** What is counted. `out`: what is released to readers. `in`: what writers store. `list`: names that were told. */
export const budgetDirections = ['out', 'in', 'list'] as const;
export type BudgetDirection = (typeof budgetDirections)[number];
export type BudgetUnit = 'bytes' | 'items';
export const budgetWindows = ['hour', 'day', 'week'] as const;
export type BudgetWindow = (typeof budgetWindows)[number];
export const windowMinutes = { hour: 60, day: 1440, week: 10_080 } as const satisfies Record<BudgetWindow, number>;
export const consequences = ['refuse', 'end-sessions', 'suspend'] as const;
export type Consequence = (typeof consequences)[number];

/** One cap for each window. */
export type Caps = { readonly hour: number; readonly day: number; readonly week: number };
/** The budget that a scope has from its creation on. `rate` is in bytes per second on the wire. */
export type ScopeBudget = {
  readonly out: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly in: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly list: { readonly names: Caps };
  readonly sessions: number;
};

export const capMax = 2 ** 50;
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Writes a number of bytes as `1.5 GiB`, with at most one decimal place. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

/** Writes a number of items as `12,000`. */
export const countText = (items: number): string => items.toLocaleString('en-US');

/** Writes an amount with its unit: bytes, or a number of files or names. */
export function amountText(direction: BudgetDirection, unit: BudgetUnit, amount: number): string {
  return unit === 'bytes' ? sizeText(amount) : `${countText(amount)} ${direction === 'list' ? 'names' : 'files'}`;
}

/**
 * Reads `500`, `2GiB`, `1.5 MiB` or `20k`: powers of 1024 with an `i`, powers of 1000 without. Returns undefined when
 * the text is not an amount from 0 to 2^50.
 */
export function parseAmount(text: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,3})?)\s*([kKMGTP]?)(i?)B?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', prefix = '', binary = ''] = match;
  if (prefix === '' && (binary !== '' || digits.includes('.'))) return undefined;
  const power = ['', 'k', 'M', 'G', 'T', 'P'].indexOf(prefix === 'K' ? 'k' : prefix);
  const value = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power);
  return value <= capMax ? value : undefined;
}

/** Returns how much still fits into every window, never less than 0. */
export function roomIn(caps: Caps, used: Caps): number {
  return Math.max(0, Math.min(...budgetWindows.map((window) => caps[window] - used[window])));
}

/** The total of a budget at the start of a minute (`minute` is in minutes since 1970). */
export type Snapshot = { readonly minute: number; readonly amount: number };
/** What was charged in one bucket (`amount`), and from the start of the window to the bucket's end (`since`). */
export type Bucket = { readonly fromMinute: number; readonly amount: number; readonly since: number };
const bucketMinutes = { hour: 1, day: 15, week: 60 } as const satisfies Record<BudgetWindow, number>;

/**
 * Returns the buckets of a window, oldest first: 60, 96 or 168 of them, computed from `snapshots` (ascending), the total
 * before the first of them (`base`), and the present total. A span without snapshots had no charges. Where old snapshots
 * are missing, charges appear in a later bucket than the one in which they happened; their sum is never too small.
 */
export function historyOf(
  snapshots: readonly Snapshot[],
  total: number,
  base: number,
  nowMinute: number,
  window: BudgetWindow,
): readonly Bucket[] {
  const width = bucketMinutes[window];
  const end = Math.floor(nowMinute / width) * width + width;
  const begin = end - windowMinutes[window];
  /** Returns the total at the start of a minute: that of the newest snapshot that is not younger. */
  const totalAt = (minute: number): number => {
    if (minute > nowMinute) return total;
    let known = base;
    for (const one of snapshots) {
      if (one.minute > minute) break;
      known = one.amount;
    }
    return known;
  };
  const first = totalAt(begin);
  return Array.from({ length: windowMinutes[window] / width }, (_, i) => {
    const from = begin + i * width;
    const until = totalAt(from + width);
    return { fromMinute: from, amount: until - totalAt(from), since: until - first };
  });
}
