// Owns: what counts of a test file that failed beside others: it runs once more, alone (decision 55).

/** What one run of a file counted, how long it took, and the lines that say what failed. */
export type Counted = {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly seconds: number;
};

/** More files than these do not fail by chance: they are not tried again. */
const againMax = 3;

const isRed = (one: Counted): boolean => one.failed > 0;

/**
 * Returns what counts of a run: of a file that failed and passes when `runAlone` runs it again, the second run. Prints
 * what failed once.
 */
export async function runAgain(
  counted: readonly Counted[],
  runAlone: (files: readonly string[]) => Promise<readonly Counted[]>,
  print: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<readonly Counted[]> {
  const red = counted.filter(isRed);
  if (red.length === 0 || red.length > againMax) return counted;
  print(`\n${red.length} of ${counted.length} files failed beside others: once more, alone\n`);
  const alone = await runAlone(red.map((one) => one.file));
  const passed = new Map(alone.filter((one) => !isRed(one)).map((one) => [one.file, one]));
  for (const one of red)
    if (passed.has(one.file))
      print(`\n-- failed once beside others, and passed alone: ${one.file}\n${one.failures.join('\n')}\n-- end\n`);
  return counted.map((one) => passed.get(one.file) ?? one);
}
