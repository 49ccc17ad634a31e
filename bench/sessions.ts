// Owns: `npm run bench:sessions -- N [SECONDS]`, the measurement of what N sessions cost that are logged in and idle:
// memory of all processes of the gateway (PSS without program files, the difference to the same gateway without them,
// divided by N) and processor time, in percent of one core. Both are read after all are logged in, the processor time
// over SECONDS. With `--write`, it writes docs/reference/performance.md. The last line of the output is JSON.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultShares } from '../server/config/shares.ts';
import { happens } from '../server/domain/bounded.ts';
import { wideAllowancesEnv, wideBudgets } from '../test/support/bank.ts';
import type { Teardown } from '../test/support/temporary-directory.ts';
import { project, startWorld, type World } from '../test/support/world.ts';
import { CpuMeter } from './beside/cpu-meter.ts';
import { describeMachine } from './beside/machine.ts';
import { writePerformance } from './beside/performance-document.ts';
import { keepReport } from './beside/reports.ts';
import { processesBelow } from './process-cpu.ts';

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const isWritten = process.argv.includes('--write');
const sessions = Number(words[0] ?? 2000);
/** By default the time from one self-test of an edge to its next, so that each edge does one meanwhile. */
const idleSeconds = Number(words[1] ?? 90);
/** After the logins: for what they leave to be done. */
const settleMs = 10_000;
/** Sessions that come and go before anything is measured: what a gateway makes for its first ones, it keeps. */
const warmUp = 64;
const loginsMs = 1_800_000;
/** Every session needs one in the edge and one in the client; a process needs a few more for itself. */
const spareFiles = 500;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

if (![sessions, idleSeconds].every((one) => Number.isInteger(one) && one > 0)) {
  process.stderr.write('npm run bench:sessions -- [N] [SECONDS] [--write]\n');
  process.exit(64);
}

/** How many files a process may have open; root may have as many as are needed. */
function openFiles(): number {
  const hard = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  const most = hard === 'unlimited' ? 2 ** 20 : Number(hard);
  const needed = sessions + spareFiles;
  if (most >= needed) return most;
  if (process.getuid?.() === 0) return needed;
  process.stderr.write(`${sessions} sessions need ${needed} open files in one process; \`ulimit -Hn\` says ${most}\n`);
  process.exit(64);
}
const withFiles = (count: number): readonly string[] => ['/bin/sh', '-c', 'ulimit -n "$0" && exec "$@"', String(count)];

/** The default shares, or more where one node could not have so many sessions. */
function sharesEnv(): Readonly<Record<string, string>> {
  const wide = Object.fromEntries(
    (['sessions', 'logins', 'identifiers'] as const).flatMap((line) => {
      const { each, total, reserve } = defaultShares.warden[line];
      const factor = Math.ceil((sessions + warmUp + 1) / each);
      return factor <= 1 ? [] : [[line, { each: each * factor, total: total * factor, reserve: reserve * factor }]];
    }),
  );
  return { COFFERDAM_SHARES: JSON.stringify({ warden: wide }) };
}

/** As it is installed, with its self-test, and with room for so many sessions of one account. */
function startGateway(t: Teardown, cpu: CpuMeter, files: number): Promise<World> {
  const room = sessions + 2 * warmUp;
  const budgets = Object.fromEntries(
    Object.entries(wideBudgets).map(([scope, given]) => [
      scope,
      typeof given === 'number' ? given : { ...given, sessions: Math.max(given.sessions, room) },
    ]),
  );
  return startWorld(t, {
    env: { COFFERDAM_BUDGETS: JSON.stringify(budgets), ...wideAllowancesEnv, ...sharesEnv() },
    limits: { connectionsMax: Math.max(2000, room), sessionIdleLifeMs: 4 * 3_600_000, selfTestEveryMs: 90_000 },
    within: [...cpu.prefix, ...withFiles(files)],
  });
}

/** What a process is: its role, with the node of an edge, or `postgres`. */
function nameOf(pid: number): string {
  const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
  const [, role = '', node] = /main\.ts (\S+)(?:.*--node (\S+))?/.exec(line) ?? [];
  return /^postgres|bin\/postgres/.test(line) ? 'postgres' : (node ?? (role || 'other'));
}

/** In the kernel's account of a process: memory that is no copy of a file, and memory that processes share. */
const ownMemory = /^Pss_(?:Anon|Shmem):\s+(\d+)/gm;

/**
 * The memory of the processes of the gateway by what they are, in MiB. What they share is divided among them. Pages of
 * programs are left out, because each further program on the machine that uses the same ones would lessen their share.
 */
function memoryMib(world: World): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const pid of processesBelow(world.pid))
    try {
      const parts = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(ownMemory);
      const kib = [...parts].reduce((sum, [, one]) => sum + Number(one), 0);
      const name = nameOf(pid);
      found.set(name, (found.get(name) ?? 0) + kib / 1024);
    } catch {
      // A process of the database that is over.
    }
  return found;
}
const sumOf = (memory: ReadonlyMap<string, number>): number => [...memory.values()].reduce((sum, one) => sum + one, 0);
/**
 * How much memory has grown. A process that has become smaller counts as unchanged: it gave back what it had needed
 * before, and must not hide what the sessions cost elsewhere.
 */
const growthOf = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number =>
  [...after].reduce((sum, [name, mib]) => sum + Math.max(0, mib - (before.get(name) ?? 0)), 0);
const memoryText = (memory: ReadonlyMap<string, number>): string =>
  [...memory].map(([name, mib]) => `${name} ${mib.toFixed(0)}`).join(', ');

/** The processor time of the gateway while nothing is asked of it, in percent of one core. */
async function idlePercent(cpu: CpuMeter): Promise<number> {
  const [before, started] = [cpu.seconds(), performance.now()];
  await sleep(idleSeconds * 1000);
  return ((cpu.seconds() - before) / ((performance.now() - started) / 1000)) * 100;
}

/** Logs in `count` times in a process of its own. Resolves when all are logged in. */
async function logIn(world: World, count: number, files: number): Promise<ChildProcess> {
  const program = join(project, 'bench', 'idle-clients.ts');
  const { port } = world.demo.partner;
  const given = [process.execPath, program, String(port), 'acme-batch', world.keyFile('acme-batch'), String(count)];
  const [command = '', ...args] = [...withFiles(files), ...given];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the clients ended with ${code}\n${world.log.slice(-2000)}`)));
  });
  if (!(await happens(loginsMs, ready))) throw new Error('the clients did not log in in time');
  return child;
}

async function logOut(child: ChildProcess): Promise<void> {
  const over = once(child, 'exit');
  child.stdin?.end();
  await over;
}

const works: (() => Promise<void> | void)[] = [];
try {
  const files = openFiles();
  const cpu = new CpuMeter('sessions');
  works.unshift(() => cpu.remove());
  const world = await startGateway({ teardown: (work) => void works.unshift(work) }, cpu, files);
  cpu.pid = world.pid;
  await logOut(await logIn(world, warmUp, files));
  await sleep(settleMs);
  const restCpuPercent = await idlePercent(cpu);
  const rest = memoryMib(world);
  const restMib = sumOf(rest);
  say(`without a session: ${restMib.toFixed(0)} MiB (${memoryText(rest)}), ${restCpuPercent.toFixed(2)} % of one core`);
  const started = performance.now();
  const clients = await logIn(world, sessions, files);
  works.unshift(() => void clients.kill('SIGKILL'));
  say(`${sessions} sessions are logged in after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  await sleep(settleMs);
  const idleCpuPercent = Number((await idlePercent(cpu)).toFixed(2));
  const memory = memoryMib(world);
  const mib = sumOf(memory);
  if (clients.exitCode !== null) throw new Error('the clients ended meanwhile');
  const mibPerSession = Number((growthOf(rest, memory) / sessions).toFixed(4));
  say(
    `with them: ${mib.toFixed(0)} MiB (${memoryText(memory)}), ${idleCpuPercent} % of one core, over ${idleSeconds} s`,
  );
  const found = { sessions, mibPerSession, idleCpuPercent };
  keepReport('sessions', {
    machine: describeMachine(world.directory),
    ...found,
    restCpuPercent,
    restMib,
    mib,
    idleSeconds,
  });
  if (isWritten) say(`${writePerformance()} is written`);
  say(JSON.stringify(found));
} finally {
  for (const work of works) await work();
}
