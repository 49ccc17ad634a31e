// Owns: the words of budgets: scopes, directions, units, windows, caps, and how amounts are written and read.

/** Lock order and width of a scope: the narrow ones refuse, the wide ones slow down first. */
export const scopeRanks = { credential: 1, account: 2, customer: 3, plane: 4, gateway: 5 } as const;
export type ScopeKind = keyof typeof scopeRanks;
export type ScopeRank = (typeof scopeRanks)[ScopeKind];
export const scopeKinds = Object.keys(scopeRanks) as readonly ScopeKind[];
export const scopeOfRank = (rank: number): ScopeKind => scopeKinds[rank - 1] ?? 'gateway';

/** A scope as `cofferctl` takes it. `name`: of a credential, an account, a customer or a plane; `customer`: on which an account has it. */
export function scopeOnCommandLine(kind: ScopeKind, name: string | null, customer: string | null): string {
  if (kind === 'gateway') return '--gateway';
  return `--${kind} ${name ?? ''}${kind === 'account' && customer !== null ? ` --customer ${customer}` : ''}`;
}

/** `out`: released to readers. `in`: stored by writers. `list`: names told. */
export const budgetDirections = ['out', 'in', 'list'] as const;
export type BudgetDirection = (typeof budgetDirections)[number];
export type BudgetUnit = 'bytes' | 'items';
export const budgetWindows = ['hour', 'day', 'week'] as const;
export type BudgetWindow = (typeof budgetWindows)[number];
export const windowMinutes = { hour: 60, day: 1440, week: 10_080 } as const satisfies Record<BudgetWindow, number>;
export const consequences = ['refuse', 'end-sessions', 'suspend'] as const;
export type Consequence = (typeof consequences)[number];

/** One cap per window. */
export type Caps = { readonly hour: number; readonly day: number; readonly week: number };
/** What one scope is given from its creation. Rates in bytes a second over the wire. */
export type ScopeBudget = {
  readonly out: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly in: { readonly bytes: Caps; readonly files: Caps; readonly rate: number };
  readonly list: { readonly names: Caps };
  readonly sessions: number;
};

export const capMax = 2 ** 50;
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.5 GiB`; one decimal at most. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

/** `12,000`. */
export const countText = (items: number): string => items.toLocaleString('en-US');

/** What is counted: bytes, or files and names. */
export function amountText(direction: BudgetDirection, unit: BudgetUnit, amount: number): string {
  return unit === 'bytes' ? sizeText(amount) : `${countText(amount)} ${direction === 'list' ? 'names' : 'files'}`;
}

/** Reads `500`, `2GiB`, `1.5 MiB`, `20k`: powers of 1024 with `i`, of 1000 without. undefined = not an amount between 0 and 2^50. */
export function parseAmount(text: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,3})?)\s*([kKMGTP]?)(i?)B?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', prefix = '', binary = ''] = match;
  if (prefix === '' && (binary !== '' || digits.includes('.'))) return undefined;
  const power = ['', 'k', 'M', 'G', 'T', 'P'].indexOf(prefix === 'K' ? 'k' : prefix);
  const value = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power);
  return value <= capMax ? value : undefined;
}

/** What still fits into every window. Zero, never negative. */
export function roomIn(caps: Caps, used: Caps): number {
  return Math.max(0, Math.min(...budgetWindows.map((window) => caps[window] - used[window])));
}

/** A budget's total at the start of a minute (minutes since 1970). */
export type Snapshot = { readonly minute: number; readonly amount: number };
export type Bucket = { readonly fromMinute: number; readonly amount: number; readonly since: number };
const bucketMinutes = { hour: 1, day: 15, week: 60 } as const satisfies Record<BudgetWindow, number>;

/**
 * What a window consists of: 60, 96 or 168 buckets, oldest first, from `snapshots` (ascending) and the total now. A span without snapshots
 * was quiet; where old ones are missing the charge shows later than it was, never less.
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
  /** The total at the start of a minute: the newest snapshot not younger than it. */
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
