// When `npm run mutate` is stopped, it leaves no trial running.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { temporaryDirectory } from '../support/database.ts';

const trials = join(import.meta.dirname, '..', 'mutation', 'trial.ts');
const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  test(`a run of slips that gets ${signal} ends the trial that runs, and cleans up`, async (t) => {
    const copy = temporaryDirectory(t);
    mkdirSync(join(copy, 'test', 'mutation'), { recursive: true });
    writeFileSync(join(copy, 'test', 'mutation', 'put-in.mjs'), '');
    const [named, cleaned] = [join(copy, 'pid'), join(copy, 'cleaned')];
    writeFileSync(
      join(copy, 'sleeper.mjs'),
      `import fs from 'node:fs'; fs.writeFileSync('${named}', String(process.pid)); setInterval(() => {}, 1000);`,
    );
    const program = `
      import { writeFileSync } from 'node:fs';
      import { endTrialsOnStop, runAlone } from '${trials}';
      endTrialsOnStop(() => writeFileSync('${cleaned}', ''));
      await runAlone('${copy}', 'sleeper.mjs', 600_000, {});
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const pid = (): number => (existsSync(named) ? Number(readFileSync(named, 'utf8')) : 0);
    for (const end = Date.now() + 60_000; pid() === 0 && Date.now() < end; ) await delay(20);
    const trial = pid();
    t.ok(trial > 0 && isAlive(trial), 'a trial runs');
    const gone = once(child, 'exit', { signal: AbortSignal.timeout(60_000) });
    child.kill(signal);
    t.same(await gone, [1, null]);
    for (const end = Date.now() + 20_000; isAlive(trial) && Date.now() < end; ) await delay(20);
    t.notOk(isAlive(trial), 'the trial is gone');
    t.ok(existsSync(cleaned), 'what is left was done');
  });
