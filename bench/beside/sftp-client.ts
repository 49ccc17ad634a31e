// Owns: one session of OpenSSH's `sftp`, which is given one command after the other. How long each took is the time
// from writing it to the moment at which the client begins the next one, without the start of the program and without
// the login.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { project } from '../../test/support/world.ts';

/** A command that the client answers by itself, without asking the server. */
const marker = 'lpwd';
const echoOf = (line: string): string => `sftp> ${line}`;
const commandMs = 1_800_000;

export class SftpClient {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #over: Promise<number | null>;
  readonly #began = performance.now();
  /** From the start of the program to the open session, in seconds. */
  loginSeconds = 0;
  #rest = '';
  #err = '';
  /** The lines that are awaited, in their order, and what to do when each was printed. */
  readonly #awaited: { readonly line: string; readonly came: (at: number) => void }[] = [];

  private constructor(args: readonly string[]) {
    const [options, target] = [args.slice(0, -1), args.at(-1) ?? ''];
    this.#child = spawn('sftp', [...options, '-b', '-', target], {
      cwd: project,
      env: { ...process.env, SSH_ASKPASS_REQUIRE: 'never' },
    });
    this.#over = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
    this.#child.once('error', (error) => (this.#err += error.message));
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#err += chunk.toString('utf8')));
    this.#child.stdout.on('data', (chunk: Buffer) => this.#read(chunk.toString('utf8')));
  }

  /** Logs in with these arguments of `sftp`, the last of which is the server. Resolves when the session is open. */
  static async open(args: readonly string[]): Promise<SftpClient> {
    const client = new SftpClient(args);
    await client.do(marker);
    client.loginSeconds = (performance.now() - client.#began) / 1000;
    return client;
  }

  #read(text: string): void {
    const at = performance.now();
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) if (line === this.#awaited[0]?.line) this.#awaited.splice(0, 1)[0]?.came(at);
  }

  #printed(line: string): Promise<number> {
    return new Promise((came) => this.#awaited.push({ line, came }));
  }

  /** Does one command. Returns the seconds that it took; rejects with the words of the client when it failed. */
  async do(line: string): Promise<number> {
    const from = performance.now();
    // Both are awaited from now on, because they may come in one piece.
    const [, ended] = [this.#printed(echoOf(line)), this.#printed(echoOf(marker))];
    this.#child.stdin.write(`${line}\n${marker}\n`);
    const failed = this.#over.then((code) => {
      throw new Error(`sftp ended with ${code} in \`${line}\`: ${this.#err.trim()}`);
    });
    failed.catch(() => {});
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), commandMs);
    try {
      return ((await Promise.race([ended, failed])) - from) / 1000;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Logs out, and waits for the end of the program. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    const code = await this.#over;
    if (code !== 0) throw new Error(`sftp ended with ${code}: ${this.#err.trim()}`);
  }
}
