// Owns: writing rows as CSV (RFC 4180): a header line, CRLF, and quotes where they are needed.
// Must never: write a cell that a spreadsheet would take for a formula.

export type CsvCell = string | number | boolean | null;

/**
 * Returns one cell. A text that begins like a formula gets an apostrophe in front, so that spreadsheets take it for
 * text.
 */
function cell(value: CsvCell): string {
  const text = value === null ? '' : value === true ? 'yes' : value === false ? 'no' : String(value);
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(columns: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}
