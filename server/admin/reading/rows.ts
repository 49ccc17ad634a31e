// Owns: converting rows from the form of the database to the form on the wire: dates become ISO 8601, everything else
// stays the same.

/** A row of `T` as the database returns it: properties that end in `At`, and the other instants, are dates. */
export type Raw<T> = {
  readonly [K in keyof T]: K extends `${string}At` | 'validFrom' | 'deadline' ? Date | Extract<T[K], null> : T[K];
};

/** A row of `T` as the database returns it: the properties of the list `K` are dates. */
export type Dated<T, K extends keyof T> = {
  readonly [P in keyof T]: P extends K ? (null extends T[P] ? Date | null : Date) : T[P];
};

export const iso = (date: Date): string => date.toISOString();
export const isoOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

export function plainRow<T>(row: Raw<T>): T {
  const entries = Object.entries(row as object).map(([name, value]) => [
    name,
    value instanceof Date ? value.toISOString() : value,
  ]);
  return Object.fromEntries(entries) as T;
}
