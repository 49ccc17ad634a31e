// Owns: `npm run bench [MIB] [ROUNDS] [ONLY,ONLY]`, the measurement of the gateway beside OpenSSH's internal-sftp and,
// where it is installed, ProFTPD's mod_sftp: on the same machine, with the same client, in turns. ONLY chooses rows:
// upload, download, small, parallel, login, list. It reports medians, their spread and ratios, and judges nothing. With
// `--write`, it writes docs/reference/performance.md. The last line of the output is JSON: ours divided by theirs.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startCofferdam } from './beside/cofferdam.ts';
import { aligned, ratios, Samples, tableRows } from './beside/figures.ts';
import { describeMachine } from './beside/machine.ts';
import { metricNames, metrics, type RowName, rowNames, type Sample } from './beside/metrics.ts';
import { startOpenSsh } from './beside/openssh.ts';
import { writePerformance } from './beside/performance-document.ts';
import { proftpdIsMissing, startProftpd } from './beside/proftpd.ts';
import { keepReport, type TransfersReport } from './beside/reports.ts';
import { makeRows } from './beside/rows.ts';
import type { Side } from './beside/side.ts';

const usage = `npm run bench [MIB] [ROUNDS] [ONLY,ONLY]\nnpm run bench -- [MIB] [ROUNDS] --write\n  ONLY: ${rowNames.join(', ')}\n`;
const isRowName = (name: string): name is RowName => (rowNames as readonly string[]).includes(name);

/** Returns what is asked for; ends the program when that is nothing that we understand. */
function parseArguments(given: readonly string[]) {
  const words = given.filter((word) => !word.startsWith('--'));
  const [mib = 1024, rounds = 3] = words.slice(0, 2).map(Number);
  const only = words[2]?.split(',') ?? rowNames;
  const options = given.filter((word) => word.startsWith('--'));
  // A document of some rows would say nothing about the others.
  const isWhole = rowNames.every((name) => only.includes(name));
  const isUnderstood =
    [mib, rounds].every((one) => Number.isInteger(one) && one > 0) &&
    only.every(isRowName) &&
    words.length <= 3 &&
    options.every((one) => one === '--write' && isWhole);
  if (!isUnderstood) {
    process.stderr.write(usage);
    process.exit(64);
  }
  return { mib, rounds, only: rowNames.filter((name) => only.includes(name)), isWhole, isWritten: options.length > 0 };
}

const { mib, rounds, only, isWhole, isWritten } = parseArguments(process.argv.slice(2));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
if (process.env.DATABASE_URL) {
  process.stderr.write('DATABASE_URL is set: the processor time of that database would not be counted; unset it\n');
  process.exit(64);
}
const sampleText = (sample: Sample): string =>
  metricNames
    .flatMap((name) => {
      const value = sample[name];
      const { digits, unit } = metrics[name];
      return value === undefined ? [] : [`${name} ${value.toFixed(digits)} ${unit}`];
    })
    .join(', ');

/** Measures each row in turns: round 0 only warms up, and each round begins with another side. */
async function measureRows(local: string, sides: readonly Side[]): Promise<Samples> {
  const samples = new Samples();
  for (const [name, row] of makeRows(local, mib, only)) {
    for (const side of sides) await row.prepare(side, rounds);
    for (let round = 0; round <= rounds; round += 1)
      for (let turn = 0; turn < sides.length; turn += 1) {
        const side = sides[(turn + round) % sides.length];
        if (side === undefined) continue;
        const sample = await row.measure(side, round);
        if (round > 0) samples.add(side.name, sample);
        say(`${name} ${round === 0 ? 'warm-up' : round} ${side.name}: ${sampleText(sample)}`);
      }
  }
  return samples;
}

const works: (() => Promise<void> | void)[] = [];
try {
  const { side: ours, directory } = await startCofferdam({ teardown: (work) => void works.unshift(work) });
  works.unshift(ours.stop);
  const local = join(directory, 'bench');
  mkdirSync(local);
  const openssh = await startOpenSsh(local);
  works.unshift(openssh.stop);
  const missing = proftpdIsMissing();
  const proftpd = missing === undefined ? [await startProftpd(local)] : [];
  for (const side of proftpd) works.unshift(side.stop);
  if (missing !== undefined) say(`ProFTPD is left out: ${missing}`);
  const sides = [ours, openssh, ...proftpd];
  const samples = await measureRows(local, sides);
  const report: TransfersReport = {
    machine: describeMachine(directory),
    mib,
    rounds,
    cpuWords: ours.cpu.words,
    sides: sides.map(({ name, title }) => ({ name, title })),
    proftpdMissing: missing ?? null,
    figures: samples.figures(),
  };
  if (isWhole) keepReport('transfers', report);
  say(`\n${aligned(tableRows(report.figures, report.sides))}\n`);
  say('Medians, and the least and the most of the rounds.');
  if (isWritten) say(`${writePerformance()} is written`);
  say(JSON.stringify({ mib, rounds, ...ratios(report.figures) }));
} finally {
  for (const work of works) await work();
}
