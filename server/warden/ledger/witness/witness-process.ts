// Owns: the process in which the calls on one witness directory are done. A disk that hangs holds up that process and
// nobody else: it is given up after a bound, killed, and replaced for the next call.
// Must never: wait for a call without a bound, or leave a process behind.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { CofferdamError } from '../../../domain/errors.ts';
import type { Answered, Asked, Question } from './witness-child.ts';

/** The time within which a call must be answered, in milliseconds; the start of the process is part of it. */
export const answerMs = 10_000;
/** The largest number of calls that wait for their answer. */
const waitingMax = 32;
/**
 * The largest number of processes that were killed and have not ended, because their disk does not answer; with so many
 * no other one begins.
 */
export const hangingMax = 3;
const child = join(import.meta.dirname, 'witness-child.ts');
const stripped = join(import.meta.dirname, '..', '..', '..', '..', 'scripts', 'stripped.mjs');

type Waiting = {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CofferdamError) => void;
  readonly timer: NodeJS.Timeout;
};

export class WitnessProcess {
  readonly #name: string;
  readonly #directory: string;
  readonly #withinMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #process: ChildProcess | undefined;
  /** Processes that were given up and are still there. */
  readonly #hanging = new Set<ChildProcess>();
  #next = 0;

  constructor(name: string, directory: string, withinMs = answerMs) {
    this.#name = name;
    this.#directory = directory;
    this.#withinMs = withinMs;
  }

  /** The id of the process, or undefined while there is none. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Asks for one call. Throws `unavailable`, with a sentence that names the witness, when the directory cannot be used
   * or does not answer in time.
   */
  ask<T>(question: Question): Promise<T> {
    if (this.#waiting.size >= waitingMax) return Promise.reject(this.#fault('too many calls wait for it'));
    return new Promise<T>((resolve, reject) => {
      const id = this.#next;
      this.#next += 1;
      const late = (): void => this.#end(`it did not answer for ${this.#withinMs / 1000} s`);
      const timer = setTimeout(late, this.#withinMs);
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject, timer });
      const asked: Asked = { id, question };
      const fail = (error: unknown): void =>
        this.#take({ id, fault: error instanceof Error ? error.message : 'it cannot be asked' });
      try {
        this.#running().send(asked, (error) => {
          if (error !== null) fail(error);
        });
      } catch (error) {
        fail(error);
      }
    });
  }

  /** Ends the process. Calls that wait are answered with `unavailable`. */
  stop(): void {
    this.#end('it is being closed');
  }

  #fault(why: string): CofferdamError {
    return new CofferdamError(
      'unavailable',
      `the witness ${this.#name} in ${this.#directory} cannot be read or written: ${why}`,
    );
  }

  #take(answered: Answered): void {
    const waiting = this.#waiting.get(answered.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answered.id);
    clearTimeout(waiting.timer);
    if ('fault' in answered) waiting.reject(this.#fault(answered.fault.slice(0, 300)));
    else waiting.resolve(answered.value ?? undefined);
  }

  /** Kills the process without waiting for its end: one that hangs in the kernel ends when its disk answers. */
  #end(why: string): void {
    const process = this.#process;
    this.#process = undefined;
    if (process !== undefined && process.exitCode === null && process.signalCode === null) this.#hanging.add(process);
    process?.kill('SIGKILL');
    if (process?.connected === true) process.disconnect();
    for (const id of [...this.#waiting.keys()]) this.#take({ id, fault: why });
  }

  #running(): ChildProcess {
    if (this.#process !== undefined) return this.#process;
    if (this.#hanging.size >= hangingMax)
      throw new Error(`its disk does not answer: ${hangingMax} processes hang there`);
    const made = fork(child, [this.#directory], {
      execArgv: ['--disable-warning=ExperimentalWarning', '--import', stripped],
      env: { PATH: '/usr/bin:/bin', NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#process = made;
    const over = (why: string): void => {
      if (this.#process === made) this.#end(why);
    };
    made.on('message', (answered: Answered) => this.#take(answered));
    made.on('error', (error) => over(error.message));
    made.on('exit', () => {
      this.#hanging.delete(made);
      over('its process ended');
    });
    // The warden ends by itself, whatever this process does.
    made.unref();
    made.channel?.unref();
    return made;
  }
}
