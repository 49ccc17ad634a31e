// Owns: one child process of the supervisor: starting it, waiting until it is ready, restarting it when it dies, and
// stopping it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { detach, unexpected } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { RoleCommand } from './commands.ts';

const readyMs = 30_000;
const backoffFirstMs = 100;
const backoffMaxMs = 5000;
/** After a process has lived for this time, the next restart begins with the shortest pause again. */
const steadyMs = 2000;
/** A killed process has ended within this time, unless its kernel does not release it. */
const forcedMs = 10_000;

/** The message of a role that is ready. `closed` is the reason why the role serves nobody although it is ready. */
export type Ready = { readonly is: 'ready'; readonly closed?: string | undefined };
const isReadiness = (message: unknown): message is Ready =>
  typeof message === 'object' && message !== null && 'is' in message && message.is === 'ready';

export class Child {
  readonly name: string;
  readonly #command: RoleCommand;
  readonly #log: Logger;
  #process: ChildProcess | undefined;
  #isStopping = false;
  #backoffMs = backoffFirstMs;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, command: RoleCommand, log: Logger) {
    this.name = name;
    this.#command = command;
    this.#log = log;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Starts the process. Resolves with its message when it is ready; rejects with `configuration` when it ended before,
   * or was not ready in time. The process writes its own message to standard error.
   */
  start(): Promise<Ready> {
    const started = Date.now();
    // The child gets its own process group, so that Ctrl-C reaches only the supervisor, which stops its children in
    // order.
    const child = spawn(this.#command.program, [...this.#command.args], {
      env: this.#command.env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    this.#process = child;
    return new Promise((resolve, reject) => {
      let isReady = false;
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new CofferdamError('configuration', `${this.name} did not get ready in ${readyMs / 1000} s`));
      }, readyMs);
      child.on('message', (message) => {
        if (!isReadiness(message)) return;
        isReady = true;
        clearTimeout(timer);
        resolve(message);
      });
      child.on('error', (cause) => {
        this.#process = undefined;
        clearTimeout(timer);
        reject(new CofferdamError('configuration', `${this.name} cannot be started`, { cause }));
      });
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        this.#process = undefined;
        if (!isReady)
          reject(new CofferdamError('configuration', `${this.name} did not start (exit code ${code ?? signal})`));
        if (this.#isStopping) return;
        if (isReady) {
          // An edge that was drained, or a role that was asked to stop by itself: only this process is restarted.
          if (code === 0) this.#log.info({ child: this.name }, 'a role ended in order; it is started again');
          else this.#log.error({ child: this.name, code, signal }, 'a role died; it is started again');
          if (Date.now() - started > steadyMs) this.#backoffMs = backoffFirstMs;
          this.#again();
        }
      });
    });
  }

  #again(): void {
    this.#timer = setTimeout(() => {
      if (this.#isStopping) return;
      detach(
        this.start().then(
          () => this.#log.info({ child: this.name }, 'a role serves again'),
          (error: unknown) => {
            this.#log.error({ child: this.name, err: error }, 'a role could not be started again');
            if (!this.#isStopping) this.#again();
          },
        ),
        unexpected,
      );
    }, this.#backoffMs);
    this.#backoffMs = Math.min(backoffMaxMs, this.#backoffMs * 2);
  }

  /** Asks the process to stop, and kills it after `graceMs` milliseconds. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (child === undefined) return;
    const gone = once(child, 'exit', { signal: AbortSignal.timeout(graceMs + forcedMs) });
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    try {
      await gone;
    } catch {
      this.#log.error(
        { child: this.name, pid: child.pid },
        'a role did not end, not even by force: look at what holds its process',
      );
    } finally {
      clearTimeout(timer);
    }
  }
}
