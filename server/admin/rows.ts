// Owns: rows as the database gives them and as they travel: dates become ISO 8601, everything else stays.

/** A row of `T` before it travels: what ends in `At`, and the few other instants, are dates. */
export type Raw<T> = { readonly [K in keyof T]: K extends `${string}At` | 'validFrom' | 'deadline' ? Date | Extract<T[K], null> : T[K] };

export const iso = (date: Date): string => date.toISOString();
export const isoOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

export function plainRow<T>(row: Raw<T>): T {
  const entries = Object.entries(row as object).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value]);
  return Object.fromEntries(entries) as T;
}
