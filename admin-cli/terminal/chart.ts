// Owns: charts for a terminal: a bar beside its cap, and how a window filled over time.

const eighths = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** Returns a bar such as `██████░░░░  60 %`. A value above the cap fills the bar, and the percentage shows it. */
export function bar(used: number, cap: number, width = 20): string {
  const share = cap === 0 ? (used === 0 ? 0 : 1) : used / cap;
  const filled = Math.min(width, Math.round(share * width));
  const percent = cap === 0 ? (used === 0 ? '  -' : '  !') : String(Math.round(share * 100)).padStart(3);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${percent} %`;
}

type Course = {
  /** One value for each column, the oldest first. */
  readonly values: readonly number[];
  readonly cap: number;
  readonly height: number;
  readonly label: (value: number) => string;
  /** The labels below the first and the last column. */
  readonly from: string;
  readonly until: string;
};

/** Returns a chart of columns. The line at its top is the cap. */
export function course({ values, cap, height, label, from, until }: Course): string {
  const width = values.length;
  const top = Math.max(cap, 1);
  const labels = [label(cap), label(0)];
  const margin = Math.max(...labels.map((one) => one.length));
  const cell = (value: number, row: number): string => {
    const steps = Math.min(height * 8, Math.round((value / top) * height * 8));
    const inRow = Math.max(0, Math.min(8, steps - row * 8));
    // A value above zero is always visible, with at least one eighth of a character.
    return eighths[inRow === 0 && row === 0 && value > 0 ? 1 : inRow] ?? ' ';
  };
  const rows = Array.from({ length: height }, (_, i) => {
    const row = height - 1 - i;
    return `${(row === 0 ? (labels[1] ?? '') : '').padStart(margin)} │${values.map((value) => cell(value, row)).join('')}`;
  });
  const gap = ' '.repeat(Math.max(1, width - from.length - until.length));
  return [
    `${(labels[0] ?? '').padStart(margin)} ┤${'╌'.repeat(width)} cap`,
    ...rows,
    `${' '.repeat(margin)} └${'─'.repeat(width)}`,
    `${' '.repeat(margin)}  ${from}${gap}${until}`,
    '',
  ].join('\n');
}
