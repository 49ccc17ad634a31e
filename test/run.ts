// Owns: `npm test`: one database server for the run, then every test file, two beside each other; what measures runs alone, at the end.
// Ends with the line `N passed, N failed`.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startTestServer, temporaryDirectory } from './support/database.ts';

const root = join(import.meta.dirname, '..');
const filter = process.argv.slice(2);
/** Files in these folders start whole gateways, which mostly wait: two beside each other. */
const worlds = ['e2e', 'attack', 'chaos', 'supervisor'];
/** These measure waits, memory or rates: nothing runs beside them. */
const measured = [
  'test/attack/deaf-clients.test.ts',
  'test/attack/measured-attacks.test.ts',
  'test/chaos/bounded-egress.test.ts',
  'test/e2e/budgets.test.ts',
  'test/fuzz/fuzz.test.ts',
];
const fileMs = 420_000;
type Counted = { readonly passed: number; readonly failed: number };

/** Of a folder, and of those below it. */
function testFiles(folder: string): readonly string[] {
  return readdirSync(join(root, 'test', folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join('test', folder, name))
    .filter((file) => filter.length === 0 || filter.some((one) => file.includes(one)));
}

/** Runs one file. tap's own runner would put hooks into every process below it, the gateway's included: each file runs by itself. */
function runFile(file: string, env: Readonly<Record<string, string>>): Promise<Counted> {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const child = spawn(process.execPath, [join(root, file)], {
      cwd: root,
      env: { ...process.env, ...env },
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
      const failed = code === 0 && passed > 0 ? notOk : Math.max(1, notOk);
      process.stdout.write(
        `${failed === 0 ? 'ok    ' : 'FAILED'} ${file}: ${passed} passed, ${failed} failed, ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
      );
      for (const line of out.match(/^ {4}# .*$/gm) ?? [])
        if (!line.includes('# Subtest')) process.stdout.write(`         ${line.trim()}\n`);
      if (failed > 0) process.stdout.write(`${out.replace(/^ {4,}ok .*\n/gm, '').slice(-20_000)}\n`);
      resolve({ passed, failed });
    });
  });
}

async function runFiles(files: readonly string[], jobs: number, env: Readonly<Record<string, string>>): Promise<Counted> {
  const waiting = [...files];
  let passed = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const counted = await runFile(file, env);
      passed += counted.passed;
      failed += counted.failed;
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return { passed, failed };
}

async function main(): Promise<number> {
  const started = Date.now();
  const works: (() => Promise<void> | void)[] = [];
  let server = process.env.DATABASE_URL ?? '';
  if (server === '') {
    const own = await startTestServer(temporaryDirectory({ teardown: (work) => void works.unshift(work) }));
    works.unshift(() => own.stop());
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void own.stop().finally(() => process.exit(1)));
    server = own.url('postgres');
  }
  try {
    const folders = readdirSync(join(root, 'test'), { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() && entry.name !== 'support',
    );
    const files = folders.flatMap((entry) => testFiles(entry.name));
    const isWorld = (file: string): boolean => worlds.some((folder) => file.startsWith(join('test', folder, '/')));
    // Hundreds of short runs of the same files: compiled once.
    const compiled = temporaryDirectory({ teardown: (work) => void works.push(work) });
    const env = { COFFERDAM_TEST_SERVER: server, TAP_TIMEOUT: '400', NODE_COMPILE_CACHE: compiled };
    const alone = files.filter((file) => measured.includes(file));
    const beside = files.filter((file) => !alone.includes(file));
    const counted = [
      await runFiles(
        beside.filter((file) => !isWorld(file)),
        2,
        env,
      ),
      await runFiles(beside.filter(isWorld), 2, env),
      await runFiles(alone, 1, env),
    ];
    const passed = counted.reduce((sum, one) => sum + one.passed, 0);
    const failed = counted.reduce((sum, one) => sum + one.failed, 0);
    process.stdout.write(`\n${files.length} files in ${Math.round((Date.now() - started) / 1000)} s\n${passed} passed, ${failed} failed\n`);
    return failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    for (const work of works) await work();
  }
}

process.exitCode = await main();
