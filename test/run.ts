// Owns: `npm test`, `npm run test:gateway` and `npm run test:attacks`: one database server and one installation to
// copy for the run, then the test files, some beside each other, and a few alone at the end. Arguments are parts of
// names, or the name of a group; without them the group `quick` runs. What failed beside others runs once more alone
// (decision 55). Ends with the line `N passed, N failed`.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopSignals } from '../server/domain/stop-signals.ts';
import { type Counted, runAgain } from './support/again.ts';
import { startTestServer, temporaryDirectory } from './support/database.ts';
import { placeInMemory } from './support/memory-place.ts';
import { unownedIn } from './support/unowned.ts';
import { makeOriginal } from './support/world.ts';

const root = join(import.meta.dirname, '..');
const measure = '--measure';
const filter = process.argv.slice(2).filter((word) => word !== measure);
/** Files in these folders start whole gateways, from one that was started once. */
const worlds = ['e2e', 'attack', 'chaos', 'supervisor'];
/** How many files run beside each other: each waits for half of its time. */
const lanes = 4;
/**
 * The seconds of the files that take longest, by name; `npm test -- --measure` writes those of the files that it ran.
 * What takes longest begins first, so that no lane is idle at the end. The figures decide nothing else.
 */
const secondsFile = join(root, 'test', 'measured-seconds.json');
const secondsOf = JSON.parse(readFileSync(secondsFile, 'utf8')) as Readonly<Record<string, number>>;
/** A file that takes less is not written there: where it stands makes no difference. */
const writtenSeconds = 5;
/** Tests that attack the gateway and kill its processes. */
const attacks = ['attack', 'chaos'];
/** Tests that play with whole gateways by a seed for as long as they are told. */
const played = ['model', 'walk', 'fuzz'];
/** A test of a whole gateway that takes at most as many seconds runs with the quick ones. */
const quickGatewaySeconds = 12;
/** Nothing runs beside these: they measure a rate, or what a whole cluster can carry in a time. */
const alone = ['test/chaos/bounded-egress.test.ts', 'test/e2e/steady-rate.test.ts'];
const fileMs = 420_000;

const linesOfFailure = 14;
const columnsOfFailure = 240;

/** What failed in a file, the first lines of each failure; when there is none, the end of what the file printed. */
function shortly(file: string, out: string): readonly string[] {
  const lines = out.split('\n').map((line) => line.slice(0, columnsOfFailure));
  const firsts = lines.flatMap((line, i) => (/^ {4,}not ok \d+/.test(line) && !/# time=/.test(line) ? [i] : []));
  const blocks = firsts.map((at) => {
    const rest = lines.slice(at + 1, at + linesOfFailure);
    const end = rest.findIndex((line) => /^ +(\.\.\.|(not )?ok \d+|at:)/.test(line));
    return [lines[at] ?? '', ...(end < 0 ? rest : rest.slice(0, end))].join('\n');
  });
  return [`${file}:`, ...(blocks.length > 0 ? blocks : lines.slice(-linesOfFailure))];
}

const folderOf = (file: string): string => file.split('/')[1] ?? '';
const isOfGateway = (file: string): boolean =>
  played.includes(folderOf(file)) || (worlds.includes(folderOf(file)) && (secondsOf[file] ?? 0) > quickGatewaySeconds);

/** Every file belongs to exactly one group. `npm test` runs the quick ones, and `.ci/run` all. */
const groups: Readonly<Record<string, (file: string) => boolean>> = {
  quick: (file) => !attacks.includes(folderOf(file)) && !isOfGateway(file),
  gateway: (file) => !attacks.includes(folderOf(file)) && isOfGateway(file),
  attacks: (file) => attacks.includes(folderOf(file)),
};

/** Returns the files that belong to a group of this name, or whose names contain one of the parts that were given. */
function testFiles(): readonly string[] {
  const asked = filter.length === 0 ? ['quick'] : filter;
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join('test', name))
    .filter((file) => asked.some((one) => groups[one]?.(file) ?? file.includes(one)));
}

/** Seconds of processor time, in user mode and in the kernel, of all processes below this one that have ended. */
function processorSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Math.round((Number(fields[13]) + Number(fields[14])) / 100);
}

/**
 * Where the processes of one file write which locks were taken against the list (`support/watch-locks.ts`); also those
 * of other users.
 */
function placeForLocks(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-locks-'));
  chmodSync(directory, 0o777);
  return directory;
}

/** Returns what was written there, each sentence once, and removes the directory. */
function locksOutOfOrder(directory: string): readonly string[] {
  const lines = readdirSync(directory).flatMap((name) =>
    readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'),
  );
  rmSync(directory, { recursive: true });
  return [...new Set(lines)];
}

/**
 * Runs one file. tap's own runner would put hooks into every process below it, also into the gateway's: so each file
 * runs by itself.
 */
function runFile(file: string, env: Readonly<Record<string, string>>): Promise<Counted> {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const locks = placeForLocks();
    // What measures a rate is not watched.
    const watch = alone.includes(file) ? [] : ['--import', join(root, 'test', 'support', 'watch-locks.ts')];
    const child = spawn(process.execPath, [...watch, join(root, file)], {
      cwd: root,
      env: { ...process.env, ...env, COFFERDAM_TEST_LOCKS: locks },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), fileMs);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      const passed = out.match(/^ {4}ok \d+/gm)?.length ?? 0;
      const notOk = out.match(/^ {4}not ok \d+/gm)?.length ?? 0;
      const unowned = unownedIn(out);
      const crossed = locksOutOfOrder(locks);
      const seconds = (Date.now() - started) / 1000;
      const failed =
        code === 0 && passed > 0 && unowned.length === 0 && crossed.length === 0 ? notOk : Math.max(1, notOk);
      process.stdout.write(
        `${failed === 0 ? 'ok    ' : 'FAILED'} ${file}: ${passed} passed, ${failed} failed, ${seconds.toFixed(1)} s\n`,
      );
      for (const line of out.match(/^ {4}# .*$/gm) ?? [])
        if (!line.includes('# Subtest')) process.stdout.write(`         ${line.trim()}\n`);
      const failures = failed > 0 ? [...shortly(file, out)] : [];
      if (crossed.length > 0)
        failures.push(`${file}: locks against the order of server/postgres/lock-order.ts`, ...crossed);
      if (failed > 0) process.stdout.write(`${out.replace(/^ {4,}ok .*\n/gm, '').slice(-20_000)}\n`);
      resolve({ file, passed, failed, failures, seconds });
    });
  });
}

async function runFiles(
  files: readonly string[],
  jobs: number,
  env: Readonly<Record<string, string>>,
): Promise<readonly Counted[]> {
  const waiting = [...files];
  const counted: Counted[] = [];
  const lane = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) counted.push(await runFile(file, env));
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return counted;
}

/** Writes the seconds of these files, and keeps those of others that are still there. */
function writeSeconds(counted: readonly Counted[]): void {
  const all = { ...secondsOf, ...Object.fromEntries(counted.map((one) => [one.file, Math.round(one.seconds)])) };
  const kept = Object.entries(all).filter(
    ([file, seconds]) => seconds >= writtenSeconds && existsSync(join(root, file)),
  );
  writeFileSync(secondsFile, `${JSON.stringify(Object.fromEntries(kept.sort()), null, 2)}\n`);
}

async function main(): Promise<number> {
  const started = Date.now();
  const works: (() => Promise<void> | void)[] = [];
  process.env.TMPDIR ??= placeInMemory() ?? tmpdir();
  let server = process.env.DATABASE_URL ?? '';
  if (server === '') {
    const own = await startTestServer(temporaryDirectory({ teardown: (work) => void works.unshift(work) }));
    works.unshift(() => own.stop());
    for (const signal of stopSignals) process.once(signal, () => void own.stop().finally(() => process.exit(1)));
    server = own.url('postgres');
  }
  try {
    const files = testFiles();
    const isWorld = (file: string): boolean => worlds.includes(folderOf(file));
    // There are hundreds of short runs of the same files, which are compiled once.
    const compiled = temporaryDirectory({ teardown: (work) => void works.push(work) });
    process.env.COFFERDAM_TEST_SERVER = server;
    process.env.NODE_COMPILE_CACHE = compiled;
    const original = files.some(isWorld) ? await makeOriginal({ teardown: (work) => void works.unshift(work) }) : '';
    const env = { COFFERDAM_TEST_WORLD: original, TAP_TIMEOUT: '400' };
    const beside = files
      .filter((file) => !alone.includes(file))
      .sort((a, b) => (secondsOf[b] ?? 0) - (secondsOf[a] ?? 0));
    const last = files.filter((file) => alone.includes(file));
    const counted = [
      ...(await runAgain(await runFiles(beside, lanes, env), (red) => runFiles(red, 1, env))),
      ...(await runFiles(last, 1, env)),
    ];
    // Printed once more at the end, where whoever reads only the end of a log finds it.
    const failures = counted.flatMap((one) => one.failures);
    if (process.argv.includes(measure)) writeSeconds(counted);
    const passed = counted.reduce((sum, one) => sum + one.passed, 0);
    const failing = counted.reduce((sum, one) => sum + one.failed, 0);
    if (failures.length > 0) process.stdout.write(`\n-- what failed\n${failures.join('\n')}\n-- end of what failed\n`);
    process.stdout.write(
      `\n${files.length} files in ${Math.round((Date.now() - started) / 1000)} s, ${processorSeconds()} s of processor time\n${passed} passed, ${failing} failed\n`,
    );
    return failing === 0 && passed > 0 ? 0 : 1;
  } finally {
    for (const work of works) await work();
  }
}

process.exitCode = await main();
