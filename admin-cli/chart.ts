// Owns: charts for a terminal: a bar against its cap, and the course of a window.

const eighths = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** `██████░░░░  60 %`. A use above the cap fills the bar and says so. */
export function bar(used: number, cap: number, width = 20): string {
  const share = cap === 0 ? (used === 0 ? 0 : 1) : used / cap;
  const filled = Math.min(width, Math.round(share * width));
  const percent = cap === 0 ? (used === 0 ? '  -' : '  !') : String(Math.round(share * 100)).padStart(3);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${percent} %`;
}

export type Course = {
  /** One value per column, oldest first. */
  readonly values: readonly number[];
  readonly cap: number;
  readonly height: number;
  readonly label: (value: number) => string;
  /** Below the first and the last column. */
  readonly from: string;
  readonly until: string;
};

/** Columns that rise towards the cap, which is the line on top. */
export function course({ values, cap, height, label, from, until }: Course): string {
  const width = values.length;
  const top = Math.max(cap, 1);
  const labels = [label(cap), label(0)];
  const margin = Math.max(...labels.map((one) => one.length));
  const cell = (value: number, row: number): string => {
    const steps = Math.min(height * 8, Math.round((value / top) * height * 8));
    const inRow = Math.max(0, Math.min(8, steps - row * 8));
    // Something is never drawn as nothing.
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
