// What a long-running program leaves behind: nothing, whether it ends by itself, by a failure, or by a signal; and its
// exit code distinguishes these.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { bounded } from '../../server/domain/bounded.ts';
import { temporaryDirectory } from '../support/database.ts';

const frame = join(import.meta.dirname, '..', 'support', 'long-run.ts');
const patienceMs = 60_000;

test('what a long run started is ended with it', async (t) => {
  const directory = temporaryDirectory(t);
  const script = join(directory, 'run.mjs');
  writeFileSync(
    script,
    `import { longRun } from ${JSON.stringify(frame)};
    await longRun(async (t) => {
      t.teardown(() => void process.stdout.write('first begun, last ended\\n'));
      t.teardown(() => void process.stdout.write('last begun, first ended\\n'));
      process.stdout.write('runs\\n');
      if (process.argv[2] === 'waits') await new Promise((resolve) => setTimeout(resolve, 1_000_000));
      if (process.argv[2] === 'throws') throw new Error('a fault');
      return process.argv[2] === 'good';
    });`,
  );
  const ends = 'last begun, first ended\nfirst begun, last ended\n';
  for (const [how, signal, code] of [
    ['good', undefined, 0],
    ['bad', undefined, 1],
    ['throws', undefined, 1],
    ['waits', 'SIGTERM', 143],
    ['waits', 'SIGINT', 130],
  ] as const) {
    const child = spawn(process.execPath, [script, how], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [said, complained] = ['', ''];
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    child.stderr.on('data', (chunk: Buffer) => (complained += chunk.toString('utf8')));
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (signal !== undefined && said === 'runs\n') child.kill(signal);
    });
    t.equal(await bounded(patienceMs, how, ended), code, `${how}: ${complained}`);
    t.equal(said, `runs\n${ends}`, how);
    t.equal(/a fault/.test(complained), how === 'throws', how);
  }
});
