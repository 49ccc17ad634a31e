// Owns: how results look: tables for people, JSON for programs, colours only on terminals.

type Cell = string | number | boolean | null;
type Table = {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly empty: string;
};
/**
 * The result of a command: `data` for --json, `text` for people. `isSaid` is true when the command has written
 * everything itself.
 */
export type Output = {
  readonly data: unknown;
  readonly text: string;
  readonly isFault?: boolean;
  readonly isSaid?: boolean;
};

/**
 * Replaces control characters in texts of others (file names, client identifications), so that they cannot control an
 * operator's terminal.
 */
export function plain(text: string): string {
  return text.replace(/\p{Cc}|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

const show = (cell: Cell): string =>
  cell === null ? '-' : cell === true ? 'yes' : cell === false ? 'no' : plain(String(cell));

/**
 * The largest width of a column, a little more than a fingerprint has. A longer value is shown whole, and moves only
 * the rest of its own line.
 */
const columnMax = 52;

export function table({ columns, rows, empty }: Table): string {
  if (rows.length === 0) return `${empty}\n`;
  const texts = rows.map((row) => row.map(show));
  const lengthsOf = (i: number): readonly number[] => texts.map((row) => row[i]?.length ?? 0);
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...lengthsOf(i).filter((length) => length <= columnMax)),
  );
  const isNumber = columns.map((_, i) => rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[line(columns), ...texts.map(line)].join('\n')}\n`;
}

/** Returns an instant without fractions: `2026-11-23 19:04:05Z`. */
export function when(iso: string | null): string {
  return iso === null ? '-' : `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}

export function colour(name: 'green' | 'yellow' | 'red', text: string, isTerminal: boolean): string {
  const codes = { green: 32, yellow: 33, red: 31 } as const;
  return isTerminal ? `\u001b[${codes[name]}m${text}\u001b[0m` : text;
}
