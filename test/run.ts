// Owns: `npm test`: one database server for the run, then every test file; short ones beside each other, whole worlds one after the other.
// Ends with the line `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startTestServer, temporaryDirectory } from './support/database.ts';

const root = join(import.meta.dirname, '..');
const filter = process.argv.slice(2);
/** Files in these folders start whole gateways, or measure them: never two at once on two cores. */
const alone = ['e2e', 'attack', 'chaos', 'interop', 'supervisor'];
type Counted = { readonly passed: number; readonly failed: number };

function testFiles(folder: string): readonly string[] {
  return readdirSync(join(root, 'test', folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join('test', folder, entry.name))
    .filter((file) => filter.length === 0 || filter.some((one) => file.includes(one)));
}

/** tap's own plugin list leaves out its TypeScript loader (Node runs the types away itself); that takes one build. */
function buildTap(): void {
  if (existsSync(join(root, '.tap', 'plugins')) && existsSync(join(root, 'node_modules', '@tapjs', 'test-built'))) return;
  const built = spawnSync('tap', ['build'], { cwd: root, encoding: 'utf8' });
  if (built.status === 0) return;
  process.stderr.write(`${built.stdout}${built.stderr}`);
  throw new Error('the test runner could not be prepared');
}

/** Runs files under tap, its report passed through, and counts the assertions. */
function runTap(files: readonly string[], jobs: number, env: Readonly<Record<string, string>>): Promise<Counted> {
  if (files.length === 0) return Promise.resolve({ passed: 0, failed: 0 });
  return new Promise((resolve, reject) => {
    const child = spawn('tap', ['run', '--disable-coverage', '--reporter=tap', `--jobs=${jobs}`, ...files], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let passed = 0;
    let failed = 0;
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const isAssertion = /^ {8,}(?:not )?ok \d+/.test(line);
        if (isAssertion && /^ +ok/.test(line)) passed += 1;
        else if (isAssertion) failed += 1;
        if (!/^ {4,}ok \d+/.test(line) && !/^ {4,}(?:1\.\.|# Subtest)/.test(line)) process.stdout.write(`${line}\n`);
      }
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ passed, failed: code === 0 ? failed : Math.max(1, failed) }));
  });
}

async function main(): Promise<number> {
  const started = Date.now();
  const works: (() => Promise<void> | void)[] = [];
  buildTap();
  let server = process.env.DATABASE_URL ?? '';
  if (server === '') {
    const own = await startTestServer(temporaryDirectory({ teardown: (work) => void works.unshift(work) }));
    works.unshift(() => own.stop());
    server = own.url('postgres');
  }
  try {
    const folders = readdirSync(join(root, 'test'), { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() && entry.name !== 'support',
    );
    const short = folders.filter((entry) => !alone.includes(entry.name)).flatMap((entry) => testFiles(entry.name));
    const long = folders.filter((entry) => alone.includes(entry.name)).flatMap((entry) => testFiles(entry.name));
    const env = { COFFERDAM_TEST_SERVER: server, TAP_TIMEOUT: '300' };
    const first = await runTap(short, 2, env);
    const second = await runTap(long, 1, env);
    const passed = first.passed + second.passed;
    const failed = first.failed + second.failed;
    process.stdout.write(
      `\n${short.length + long.length} files in ${Math.round((Date.now() - started) / 1000)} s\n${passed} passed, ${failed} failed\n`,
    );
    return failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    for (const work of works) await work();
    rmSync(join(root, '.tap', 'test-results'), { recursive: true, force: true });
  }
}

process.exitCode = await main();
