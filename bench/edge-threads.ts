// Owns: `npm run bench:edge [MIB] [ROUNDS]`, the measurement of the processor time that each thread of the partner
// plane's edge needs for an upload and for a download: a real gateway, the real `sftp`, one file, in seconds per GiB.
// The main thread is where logins and every byte of every client pass, so its time bounds what one edge can do. Medians
// are reported. The last line of the output is JSON.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { wideBudgetsEnv } from '../test/support/bank.ts';
import { startWorld } from '../test/support/world.ts';

const mib = Number(process.argv[2] ?? 1024);
const rounds = Number(process.argv[3] ?? 5);
const ciphers = (process.argv[4] ?? 'aes128-gcm@openssh.com').split(',');
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

type Times = { readonly user: number; readonly system: number };
type Sample = { readonly seconds: number; readonly main: Times; readonly others: number };

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Returns the user and system time of each thread of a process, by the thread's id, in seconds. */
function threadsOf(pid: number): ReadonlyMap<number, Times> {
  const times = new Map<number, Times>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    times.set(Number(thread), {
      user: Number(fields[11]) / ticksPerSecond,
      system: Number(fields[12]) / ticksPerSecond,
    });
  }
  return times;
}

const works: (() => Promise<void> | void)[] = [];
const world = await startWorld({ teardown: (work) => void works.unshift(work) }, { env: wideBudgetsEnv });
const local = join(world.directory, 'bench');
mkdirSync(local);
const big = join(local, 'big');
const file = openSync(big, 'w');
for (let i = 0; i < mib; i += 1) writeSync(file, randomBytes(1024 * 1024));
closeSync(file);

async function measured(cipher: string, line: string): Promise<Sample> {
  const [edge = 0] = world.pidsOf('partner-1');
  const args = world.sftpArguments('acme-batch');
  const before = threadsOf(edge);
  const started = performance.now();
  execFileSync('sftp', [...args.slice(0, -1), '-c', cipher, '-b', '-', args.at(-1) ?? ''], {
    input: `${line}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const seconds = (performance.now() - started) / 1000;
  let main: Times = { user: 0, system: 0 };
  let others = 0;
  for (const [thread, { user, system }] of threadsOf(edge)) {
    const was = before.get(thread) ?? { user: 0, system: 0 };
    const spent = { user: user - was.user, system: system - was.system };
    if (thread === edge) main = spent;
    else others += spent.user + spent.system;
  }
  return { seconds, main, others };
}

const perGiB = (seconds: number): number => Number(((seconds / mib) * 1024).toFixed(2));
const samples: Record<string, Sample[]> = {};
try {
  const put = await world.sftp('processor', [`put ${big} acme/collect/big`], 300_000);
  if (put.code !== 0) throw new Error(put.err);
  for (let round = 0; round < rounds; round += 1)
    for (const cipher of ciphers)
      for (const [what, line] of [
        ['upload', `put ${big} deposit/up-${cipher}-${round}`],
        ['download', 'get collect/big /dev/null'],
      ] as const) {
        const key = `${what} ${cipher}`;
        const sample = await measured(cipher, line);
        samples[key] = [...(samples[key] ?? []), sample];
        const { main, others, seconds } = sample;
        process.stdout.write(
          `${key.padEnd(34)} ${(mib / seconds).toFixed(0).padStart(4)} MiB/s, s/GiB: main thread ` +
            `${perGiB(main.user + main.system)} (kernel ${perGiB(main.system)}), other threads ${perGiB(others)}\n`,
        );
      }
  const reported = Object.entries(samples).map(([what, all]) => ({
    what,
    mibPerSecond: Math.round(median(all.map(({ seconds }) => mib / seconds))),
    mainThread: perGiB(median(all.map(({ main }) => main.user + main.system))),
    ofThatKernel: perGiB(median(all.map(({ main }) => main.system))),
    otherThreads: perGiB(median(all.map(({ others }) => others))),
  }));
  process.stdout.write(`${JSON.stringify({ mib, rounds, reported })}\n`);
} finally {
  for (const work of works) await work();
}
