// Owns: what each test reaches of the sources, from what V8 counted in one run of it without a slip; kept for the next
// run while nothing of it changed.
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runAlone } from './trial.ts';

type Range = { readonly startOffset: number; readonly endOffset: number; readonly count: number };
export type Reach = {
  readonly test: string;
  readonly ms: number;
  readonly ranges: Readonly<Record<string, readonly Range[]>>;
};

const baselineMsMax = 300_000;

/** Lines of JSON in a file that may not exist, and of which a run that was stopped left half a line. */
export function linesOf<T>(file: string): readonly T[] {
  try {
    const whole = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line) as T);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Throws when the test does not pass as it is. `sum`: of everything that it imports. */
export async function reachOf(
  copy: string,
  test: string,
  sum: string,
  kept: string,
  known: Map<string, Reach>,
): Promise<Reach> {
  const before = known.get(sum);
  if (before !== undefined) return before;
  const directory = mkdtempSync(join(copy, 'tmp', 'coverage-'));
  const started = performance.now();
  const outcome = await runAlone(copy, test, baselineMsMax, { NODE_V8_COVERAGE: directory });
  const ms = performance.now() - started;
  if (outcome !== 'passed') throw new Error(`${test} does not pass without a slip (${outcome}): mend it first`);
  const ranges: Record<string, Range[]> = {};
  const prefix = pathToFileURL(copy).href;
  for (const name of readdirSync(directory)) {
    type Counted = { result: { url: string; functions: { ranges: Range[] }[] }[] };
    for (const { url, functions } of (JSON.parse(readFileSync(join(directory, name), 'utf8')) as Counted).result) {
      if (!url.startsWith(`${prefix}/server/`)) continue;
      const of = ranges[url.slice(prefix.length + 1)] ?? [];
      ranges[url.slice(prefix.length + 1)] = of.concat(functions.flatMap((one) => one.ranges));
    }
  }
  rmSync(directory, { recursive: true });
  const reach = { test, ms, ranges };
  appendFileSync(kept, `${JSON.stringify({ sum, reach })}\n`);
  return reach;
}

/**
 * Returns whether the innermost of the counted ranges around a place was ever run: a file that several threads load has
 * several.
 */
export function reaches({ ranges }: Reach, file: string, at: number): boolean {
  const around = (ranges[file] ?? []).filter(({ startOffset, endOffset }) => startOffset <= at && at < endOffset);
  const size = Math.min(...around.map(({ startOffset, endOffset }) => endOffset - startOffset));
  return around.some(({ startOffset, endOffset, count }) => endOffset - startOffset === size && count > 0);
}
