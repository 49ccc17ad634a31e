// Owns: a real terminal for a program under test. The program is the leader of a session whose controlling terminal
// this is, and the terminal can be closed.
import { type ChildProcess, spawn } from 'node:child_process';
import { happens } from '../../server/domain/bounded.ts';

/**
 * Reports on descriptor 3 how the program ended: `exit N` or `signal N`. The end of its own standard input closes the
 * terminal.
 */
const holder = `
import os, pty, select, sys
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    ready, _, _ = select.select([master, 0], [], [])
    if 0 in ready and os.read(0, 4096) == b'':
        break
    if master in ready:
        try:
            said = os.read(master, 65536)
        except OSError:
            break
        if said == b'':
            break
        os.write(1, said)
os.close(master)
_, status = os.waitpid(pid, 0)
said = 'signal %d' % os.WTERMSIG(status) if os.WIFSIGNALED(status) else 'exit %d' % os.WEXITSTATUS(status)
os.write(3, said.encode())
`;

export class Terminal {
  readonly #child: ChildProcess;
  #end: string | undefined;
  #shown = '';

  constructor(
    program: string,
    args: readonly string[],
    options: { readonly cwd: string; readonly env: Record<string, string | undefined> },
  ) {
    this.#child = spawn('python3', ['-c', holder, program, ...args], {
      ...options,
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#shown += chunk.toString('utf8')));
    let end = '';
    this.#child.stdio[3]?.on('data', (chunk: Buffer) => (end += chunk.toString('utf8')));
    this.#child.once('close', () => (this.#end = end));
  }

  /** What was written to the terminal. */
  get shown(): string {
    return this.#shown;
  }

  /** Resolves when the terminal shows this; false when it did not within `ms`. */
  async shows(words: RegExp, ms: number): Promise<boolean> {
    for (const end = Date.now() + ms; !words.test(this.#shown); await new Promise((resolve) => setTimeout(resolve, 50)))
      if (Date.now() > end || this.#child.exitCode !== null) return false;
    return true;
  }

  /**
   * Closes it, like a window that is closed or a connection that is lost: its session receives SIGHUP, and nobody reads
   * any more.
   */
  close(): void {
    this.#child.stdin?.end();
  }

  /** How the program ended: `exit 0`, `signal 1`; `still running` after `ms`. */
  async ended(ms: number): Promise<string> {
    if (this.#end === undefined) await happens(ms, new Promise((resolve) => this.#child.once('close', resolve)));
    return this.#end ?? 'still running';
  }

  /** For the end of a test, whatever became of the program. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
