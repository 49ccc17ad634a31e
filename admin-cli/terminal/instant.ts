// Owns: how a command line names an instant: a day, an instant, or a time that has passed since then.
// Must never: take a text for an instant that its writer cannot have meant.

const unitMs: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000 };

/**
 * Returns an instant in ISO 8601 from a day such as 2026-01-31, an instant, or a time that has passed since then:
 * `30d`, `12h`, `10m`. Throws a RangeError for any other text.
 */
export function instantOf(text: string, option: string): string {
  const ago = /^(\d{1,5})([dhm])$/.exec(text);
  if (ago !== null) return new Date(Date.now() - Number(ago[1]) * (unitMs[ago[2] ?? ''] ?? 0)).toISOString();
  const date = new Date(text);
  const hasForm = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z)?$/.test(text) && !Number.isNaN(date.getTime());
  // A day that a month does not have, such as 31 November, would be taken for one of the next month.
  if (!hasForm || date.toISOString().slice(0, 10) !== text.slice(0, 10))
    throw new RangeError(
      `--${option} takes a day such as 2026-01-31, an instant such as 2026-01-31T18:00Z, or 30d, 12h or 10m, not "${text}"`,
    );
  return date.toISOString();
}
