// Owns: `npm run mutate [-- PART …]`: every slip in the files of `tried-files.ts` whose names contain a PART, one at a
// time, against the tests that reach it. It works in a copy below the system's temporary directory; what was found is
// kept in node_modules, so that a run that was stopped continues where it was. MUTATE_FIRST_LOOK=yes: without the tests
// that need a process of their own; what lives is then more than what survives. MUTATE_JOBS: this many trials at once;
// by default one for each processor.
// Must never: write into the tree that it tries, or count a slip as caught because a test fails anyway.
// Ends with one line of JSON: `{"mutants","killed","survived","explained"}`. Exit code 1: a slip survived without an
// explanation, or an explanation is stale.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { explained, staleIn } from './explained.ts';
import { linesOf, type Reach, reaches, reachOf } from './reach.ts';
import { type FileSlip, slipsOf } from './slips-of.ts';
import { endTrialsOnStop, Host, runAlone } from './trial.ts';
import { copied, isAlone, quickTests, sourcesBelow, triedFiles } from './tried-files.ts';

const root = join(import.meta.dirname, '..', '..');
const verdictsFile = join(root, 'node_modules', '.cofferdam-mutation.jsonl');
const reachFile = join(root, 'node_modules', '.cofferdam-mutation-reach.jsonl');
/** A slip that makes a test run ten times as long as without it, and longer than this, hangs. */
const hangsAfterMs = 20_000;
const { MUTATE_JOBS, MUTATE_FIRST_LOOK } = process.env;
const jobs = MUTATE_JOBS === undefined ? availableParallelism() : Math.max(1, Number(MUTATE_JOBS));

/** `by`: the test that caught it. */
type Verdict = { readonly by: string | null; readonly why: string };
type UnitTest = { readonly test: string; readonly sum: string; readonly isAlone: boolean };

function sha256(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex');
}

/** The tree without its types, so that no trial has to strip them, and with the offsets of the sources. */
function makeCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'cofferdam-mutate-'));
  for (const folder of copied) cpSync(join(root, folder), join(copy, folder), { recursive: true });
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'tmp'));
  for (const file of copied.flatMap((folder) => sourcesBelow(copy, folder))) {
    const path = join(copy, file);
    writeFileSync(path, stripTypeScriptTypes(readFileSync(path, 'utf8')));
  }
  return copy;
}

/** Runs `work` on each, in order, this many at once, each with a process for trials. */
async function each<T>(copy: string, all: readonly T[], work: (one: T, host: Host) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    const host = new Host(copy);
    try {
      for (let one = all[next]; one !== undefined; one = all[next]) {
        next += 1;
        await work(one, host);
      }
    } finally {
      host.close();
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
}

const stem = (path: string): string => path.replace(/^.*\//, '').replace(/(?:\.test)?\.ts$/, '');

/**
 * The tests that may catch slips in these files: first those that begin nothing, among them the one with the same name,
 * then the quickest.
 */
async function testsFor(
  copy: string,
  files: readonly string[],
): Promise<(slip: FileSlip) => readonly (UnitTest & Reach)[]> {
  const tests = [...quickTests(copy)]
    .filter(([, closure]) => files.some((file) => closure.has(file)))
    .filter(([, closure]) => MUTATE_FIRST_LOOK === undefined || !isAlone(copy, closure))
    .map(([test, closure]): UnitTest => {
      const texts = [...closure].sort().map((file) => readFileSync(join(copy, file), 'utf8'));
      return { test, sum: sha256(test, ...texts), isAlone: isAlone(copy, closure) };
    });
  process.stdout.write(`${tests.length} tests import one of them; each is run once without a slip\n`);
  const known = new Map(linesOf<{ sum: string; reach: Reach }>(reachFile).map(({ sum, reach }) => [sum, reach]));
  const able: (UnitTest & Reach)[] = [];
  await each(
    copy,
    tests,
    async (one) => void able.push({ ...one, ...(await reachOf(copy, one.test, one.sum, reachFile, known)) }),
  );
  return (slip) => {
    const rank = (one: UnitTest & Reach): number =>
      (one.isAlone ? 2 : 0) + (stem(one.test) === stem(slip.file) ? 0 : 1);
    return able.filter((one) => reaches(one, slip.file, slip.start)).sort((a, b) => rank(a) - rank(b) || a.ms - b.ms);
  };
}

async function verdictOn(
  copy: string,
  slip: FileSlip,
  able: readonly (UnitTest & Reach)[],
  known: Map<string, Verdict>,
  host: Host,
): Promise<Verdict> {
  const placed = { url: pathToFileURL(join(copy, slip.file)).href, start: slip.start, end: slip.end, text: slip.text };
  for (const { test, ms, sum, isAlone } of able) {
    // A test and a slip in what it imports: the same bytes give the same verdict.
    const key = sha256(slip.file, String(slip.start), String(slip.end), slip.text, sum);
    let verdict = known.get(key);
    if (verdict === undefined) {
      const limitMs = Math.max(hangsAfterMs, ms * 10);
      const outcome = isAlone
        ? await runAlone(copy, test, limitMs, { SLIP: JSON.stringify(placed) })
        : await host.run(test, limitMs, placed);
      verdict = { by: outcome === 'passed' ? null : test, why: outcome };
      appendFileSync(verdictsFile, `${JSON.stringify({ key, verdict })}\n`);
      known.set(key, verdict);
    }
    if (verdict.by !== null) return verdict;
  }
  return { by: null, why: able.length === 0 ? 'no quick test reaches it' : `${able.length} tests passed` };
}

function report(
  slips: readonly FileSlip[],
  verdicts: ReadonlyMap<FileSlip, Verdict>,
  files: readonly string[],
): number {
  const nameOf = ({ file, name }: FileSlip): string => `${file}: ${name}`;
  const reasons = new Set(explained.flatMap(({ file, slips: names }) => names.map((name) => `${file}: ${name}`)));
  const living = slips.filter((slip) => verdicts.get(slip)?.by === null);
  const survivors = living.filter((slip) => !reasons.has(nameOf(slip)));
  const needless = slips.filter((slip) => verdicts.get(slip)?.by !== null && reasons.has(nameOf(slip)));
  const stale = staleIn(explained, slips, files);
  const lines = [
    ...survivors.map((slip) => `survived ${slip.file}:${slip.line}: ${slip.name} (${verdicts.get(slip)?.why})`),
    ...needless.map((slip) => `explained, and caught by ${verdicts.get(slip)?.by}: ${nameOf(slip)}`),
    ...stale.map((one) => `explained, and no slip any more: ${one}`),
    JSON.stringify({
      mutants: slips.length,
      killed: slips.length - living.length,
      survived: survivors.length,
      explained: living.length - survivors.length,
    }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return survivors.length + stale.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const files = triedFiles(root, process.argv.slice(2));
  if (files.length === 0) throw new Error('no file has such a name: test/mutation/tried-files.ts says which there are');
  const copy = makeCopy();
  const clean = (): void => rmSync(copy, { recursive: true, force: true });
  endTrialsOnStop(clean);
  try {
    const slips = slipsOf(root, files);
    process.stdout.write(`${slips.length} slips in ${files.length} files\n`);
    const ableFor = await testsFor(copy, files);
    const known = new Map(
      linesOf<{ key: string; verdict: Verdict }>(verdictsFile).map(({ key, verdict }) => [key, verdict]),
    );
    const verdicts = new Map<FileSlip, Verdict>();
    const started = performance.now();
    await each(copy, slips, async (slip, host) => {
      const verdict = await verdictOn(copy, slip, ableFor(slip), known, host);
      verdicts.set(slip, verdict);
      if (verdict.by === null) process.stdout.write(`lives ${slip.file}:${slip.line}: ${slip.name} (${verdict.why})\n`);
      if (verdicts.size % 100 === 0)
        process.stdout.write(
          `${verdicts.size} of ${slips.length}, ${Math.round((performance.now() - started) / 1000)} s\n`,
        );
    });
    return report(slips, verdicts, files);
  } finally {
    clean();
  }
}

process.exitCode = await main();
