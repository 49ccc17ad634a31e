// Owns: what is made of samples: medians with their spread, the ratios of ours to the others', and the table of both.
// Must never: make up a figure that was not measured.
import { type MetricName, metricNames, metrics, type Sample } from './metrics.ts';
import type { SideName } from './side.ts';

type Figure = { readonly median: number; readonly least: number; readonly most: number };
export type Figures = Readonly<Partial<Record<MetricName, Readonly<Partial<Record<SideName, Figure>>>>>>;

/** The middle value; of an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

export class Samples {
  readonly #values = new Map<MetricName, Map<SideName, number[]>>();

  add(side: SideName, sample: Sample): void {
    for (const name of metricNames) {
      const value = sample[name];
      if (value === undefined) continue;
      const sides = this.#values.get(name) ?? new Map<SideName, number[]>();
      this.#values.set(name, sides.set(side, [...(sides.get(side) ?? []), value]));
    }
  }

  figures(): Figures {
    const figure = (values: readonly number[]): Figure => ({
      median: median(values),
      least: Math.min(...values),
      most: Math.max(...values),
    });
    return Object.fromEntries(
      [...this.#values].map(([name, sides]) => [
        name,
        Object.fromEntries([...sides].map(([side, values]) => [side, figure(values)])),
      ]),
    );
  }
}

/** Of the other sides, what is appended to the name of a ratio. */
const suffixes = { openssh: '', proftpd: 'Proftpd' } as const;

/** Ours divided by the other side's, of medians; three decimal places. */
export function ratios(figures: Figures): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [side, suffix] of Object.entries(suffixes) as [keyof typeof suffixes, string][])
    for (const name of metricNames) {
      const [ours, theirs] = [figures[name]?.cofferdam, figures[name]?.[side]];
      if (!metrics[name].isRatio || ours === undefined || theirs === undefined) continue;
      found[`${name}Ratio${suffix}`] = Number((ours.median / theirs.median).toFixed(3));
    }
  return found;
}

const spelled = (name: MetricName, value: number): string =>
  value.toLocaleString('en-US', {
    minimumFractionDigits: metrics[name].digits,
    maximumFractionDigits: metrics[name].digits,
  });

/** A median, and behind it the least and the most when there were several rounds. */
const figureText = (name: MetricName, figure: Figure | undefined): string => {
  if (figure === undefined) return '';
  const text = spelled(name, figure.median);
  return figure.least === figure.most
    ? text
    : `${text} (${spelled(name, figure.least)} to ${spelled(name, figure.most)})`;
};

const timesText = (ours: Figure | undefined, theirs: Figure | undefined): string =>
  ours === undefined || theirs === undefined ? '' : `${(ours.median / theirs.median).toFixed(2)} ×`;

/** The rows of the table of medians: what, unit, a column for each side, and the ratio to each other side. */
export function tableRows(
  figures: Figures,
  sides: readonly { readonly name: SideName; readonly title: string }[],
): readonly (readonly string[])[] {
  const others = sides.filter(({ name }) => name !== 'cofferdam');
  return [
    ['', '', ...sides.map(({ title }) => title), ...others.map(({ title }) => `to ${title}`)],
    ...metricNames.flatMap((name) => {
      const found = figures[name];
      if (found === undefined) return [];
      const { title, unit } = metrics[name];
      return [
        [
          title,
          unit,
          ...sides.map((side) => figureText(name, found[side.name])),
          ...others.map((side) => timesText(found.cofferdam, found[side.name])),
        ],
      ];
    }),
  ];
}

/** A table with columns below each other, for a terminal. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
