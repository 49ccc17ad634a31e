// Owns: running one test in the copy, with a slip or without: in a process of its own, or in one that tries many;
// within a time and within a memory.
// Must never: let a trial that hangs, or leaves something behind, decide about another one.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { stopSignals } from '../../server/domain/stop-signals.ts';

export type Placed = { readonly url: string; readonly start: number; readonly end: number; readonly text: string };
/** `time`, `memory`: it was ended. */
export type Outcome = 'passed' | 'failed' | 'time' | 'memory';
const memoryPages = 2 ** 30 / 4096;
const lookEveryMs = 250;
/** Modules of a trial stay in the memory of its process. */
const trialsOfHost = 150;

function residentPages(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  } catch {
    return 0;
  }
}

/**
 * For how many milliseconds this process was ready to run and other processes ran instead. A kernel that does not count
 * that says nothing: then a busy machine may end a trial that is only slow.
 */
function starvedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

const putIn = (copy: string): readonly string[] => [
  '--max-old-space-size=512',
  '--import',
  join(copy, 'test/mutation/put-in.mjs'),
];
const options = (copy: string, env: Readonly<Record<string, string>>): SpawnOptions => ({
  cwd: copy,
  env: { PATH: process.env.PATH, HOME: copy, TMPDIR: join(copy, 'tmp'), TAP_BAIL: '1', TAP_TIMEOUT: '600', ...env },
  detached: true,
});

/** Running trials, each the leader of a process group of its own: no signal to this process reaches them. */
const running = new Set<number>();

function begin(args: readonly string[], from: SpawnOptions): ChildProcess {
  const child = spawn(process.execPath, [...args], from);
  const { pid } = child;
  if (pid !== undefined) {
    running.add(pid);
    child.once('exit', () => running.delete(pid));
  }
  return child;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself, and nobody was told yet.
  }
}

/** A stop ends every trial, and everything that it began, then does what is left to do, and ends this process. */
export function endTrialsOnStop(last: () => void): void {
  for (const signal of stopSignals)
    process.once(signal, () => {
      for (const pid of running) endGroup(pid);
      last();
      process.exit(1);
    });
}

/**
 * Ends it, and everything that it began, when it takes too much time or memory. The time for which other processes kept
 * it from running does not count: otherwise a busy machine, not a test, would catch slips. Returns what stops the
 * watch.
 */
function watch({ pid }: ChildProcess, limitMs: number, ended: (why: 'time' | 'memory') => void): () => void {
  if (pid === undefined) return () => {};
  const started = performance.now() - starvedMs(pid);
  const timer = setInterval(() => {
    const why =
      performance.now() - started - starvedMs(pid) > limitMs
        ? 'time'
        : residentPages(pid) > memoryPages
          ? 'memory'
          : undefined;
    if (why === undefined) return;
    clearInterval(timer);
    ended(why);
    process.kill(-pid, 'SIGKILL');
  }, lookEveryMs);
  return () => clearInterval(timer);
}

/** In a process of its own. `env`: what is added to an environment that otherwise has only the paths. */
export function runAlone(
  copy: string,
  test: string,
  limitMs: number,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = begin([...putIn(copy), join(copy, test)], { ...options(copy, env), stdio: 'ignore' });
    let why: Outcome | undefined;
    const stop = watch(child, limitMs, (reason) => (why = reason));
    child.on('error', reject);
    child.on('close', (code) => {
      stop();
      resolve(why ?? (code === 0 ? 'passed' : 'failed'));
    });
  });
}

/** One process after the other, each for many trials of tests that begin neither a process nor a thread. */
export class Host {
  readonly #copy: string;
  #child: ChildProcess | undefined;
  #trials = 0;

  constructor(copy: string) {
    this.#copy = copy;
  }

  /**
   * A failure counts when the same process passes the test without the slip right after it; otherwise a new process
   * decides.
   */
  async run(test: string, limitMs: number, slip: Placed): Promise<Outcome> {
    const first = await this.#try(test, limitMs, slip);
    if (first === 'failed' && (await this.#try(test, limitMs, null)) === 'passed') return first;
    if (first === 'passed' || first === 'time' || first === 'memory') return first;
    this.close();
    const again = await this.#try(test, limitMs, slip);
    if (again !== 'passed') this.close();
    return again === 'stray' ? 'failed' : again;
  }

  async #try(test: string, limitMs: number, slip: Placed | null): Promise<Outcome | 'stray'> {
    // It may have ended because of what a slip left behind, after it had answered.
    if (this.#trials >= trialsOfHost || this.#child?.connected === false) this.close();
    this.#trials += 1;
    this.#child ??= await begun(this.#copy);
    const child = this.#child;
    return new Promise((resolve) => {
      const done = (outcome: Outcome | 'stray'): void => {
        stop();
        child.removeAllListeners();
        child.on('error', () => {});
        // A trial whose result is uncertain, and one that had to be ended, leaves a process that cannot be used again.
        if (outcome !== 'passed' && outcome !== 'failed') this.close();
        resolve(outcome);
      };
      const stop = watch(child, limitMs, done);
      child.on('message', (said) => isWord(said) && done(said as Outcome | 'stray'));
      child.once('exit', () => done('stray'));
      child.send({ url: pathToFileURL(join(this.#copy, test)).href, slip }, (error) => error !== null && done('stray'));
    });
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
    this.#trials = 0;
  }
}

/** tap says things of its own to whoever began it. */
const isWord = (said: unknown): boolean => said === 'passed' || said === 'failed' || said === 'stray';

function begun(copy: string): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const file = join(copy, 'test/mutation/host.mjs');
    const child = begin([...putIn(copy), file], { ...options(copy, {}), stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    child.on('message', (said) => said === 'ready' && resolve(child));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the process for trials ended with ${code}`)));
  });
}
