// Owns: typing the pages of the banks' handbook (docs/banks): the fenced blocks of a page, and running them in their
// order against a gateway, with nothing replaced but the placeholders that the index of the handbook lists.
//
// A block says by its info string what it is: `sh typed` is typed; `typed fails` must fail; `enrols` is asked for a
// ticket and a code; `with=WORD` names what operators do before it; `needs=PROGRAM` names a program that may be
// missing, and `needs=python3:MODULE` a module; `file=PATH` is saved there; `shown` is what the typed blocks since the
// last one of these showed, in this order, where `…` stands for anything. Every other block is only read.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { FreshCodes } from './fresh-codes.ts';
import { type Done, project, type World } from './world.ts';

export type Block = { readonly words: readonly string[]; readonly text: string; readonly line: number };

const blockMs = 120_000;
/** What a program wrote before it ended arrives within this time. */
const settleMs = 50;

export const handbook = join(project, 'docs', 'banks');

/** Returns the fenced blocks of a page. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { words: readonly string[]; lines: string[]; line: number } | undefined;
  for (const [i, line] of readFileSync(join(handbook, page), 'utf8').split('\n').entries())
    if (!line.startsWith('```')) open?.lines.push(line);
    else if (open === undefined) open = { words: line.slice(3).split(' '), lines: [], line: i + 1 };
    else {
      blocks.push({ words: open.words, text: `${open.lines.join('\n')}\n`, line: open.line });
      open = undefined;
    }
  return blocks;
}

/** Returns the value of `NAME=VALUE` in the info string of a block. */
export const wordOf = ({ words }: Block, name: string): string | undefined =>
  words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
export const isTyped = ({ words }: Block): boolean => words.includes('typed');

/** Returns the lines of `shown` that `out` does not have, each after the one before it. */
export function notShown(shown: string, out: string): readonly string[] {
  let rest = out;
  return shown
    .split('\n')
    .filter((line) => line !== '')
    .filter((line) => {
      const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      const found = new RegExp(`^.*${parts.join('.*')}.*$`, 'm').exec(rest);
      if (found !== null) rest = rest.slice(found.index + found[0].length);
      return found === null;
    });
}

export type Typed = { readonly faults: readonly Fault[]; readonly typed: number };
type Fault = { readonly page: string; readonly line: number; readonly what: string };

type Meanwhile = {
  /** Whether a typed block, and what it shows, is left out. */
  readonly skips?: (block: Block) => Promise<boolean>;
  readonly before?: (block: Block) => Promise<void>;
  readonly after?: (block: Block) => Promise<void>;
};

/** The environment of a bank's machine: Debian's own programs come first. */
export const typistEnv = (): NodeJS.ProcessEnv => ({
  ...process.env,
  LC_ALL: 'C.UTF-8',
  PATH: `/usr/bin:/bin:${process.env.PATH ?? ''}`,
});

/** What a person at the keyboard answers, by account. */
type Answers = { readonly secrets: Record<string, string>; readonly tickets: Record<string, string> };

export class Typist {
  readonly world: World;
  /** What stands for `/srv/payments` and `~/cofferdam`. */
  readonly machine: string;
  readonly person: string;
  readonly #answers: Answers = { secrets: {}, tickets: {} };
  readonly #codes = new Map<string, FreshCodes>();
  #secret = '';

  constructor(world: World, directory: string) {
    this.world = world;
    this.machine = join(directory, 'payments');
    this.person = join(directory, 'person');
    mkdirSync(directory, { recursive: true });
  }

  ticket(account: string, ticket: string): void {
    this.#answers.tickets[account] = ticket;
  }

  /** The placeholders of the index, and the secret that an enrolment showed. */
  typed(text: string): string {
    const { host, port } = this.world.demo.partner;
    return text
      .replaceAll('sftp.gateway.example', host)
      .replaceAll(/\b2022\b/g, String(port))
      .replaceAll('/srv/payments', this.machine)
      .replaceAll('~/cofferdam', this.person)
      .replaceAll("'SECRET'", this.#secret);
  }

  /** Types a page, until a block fails. `meanwhile` has what operators do before and after each typed block. */
  async page(page: string, meanwhile: Meanwhile = {}): Promise<Typed> {
    const faults: Fault[] = [];
    let [shown, typed, isSkipped] = ['', 0, false];
    for (const block of blocksOf(page)) {
      const fault = (what: string): number => faults.push({ page, line: block.line, what });
      if (wordOf(block, 'file') !== undefined) this.save(block);
      if (isTyped(block)) {
        isSkipped = (await meanwhile.skips?.(block)) === true;
        if (isSkipped) continue;
        await meanwhile.before?.(block);
        const done = await this.#type(block);
        typed += 1;
        shown += done.out + done.err;
        if ((done.code !== 0) !== block.words.includes('fails')) {
          fault(`ended with ${done.code}: ${shown.slice(-3000)}`);
          break;
        }
        await meanwhile.after?.(block);
      }
      if (!block.words.includes('shown') || isSkipped) continue;
      for (const line of notShown(this.typed(block.text), shown))
        fault(`does not show ${line} in ${shown.slice(-1500)}`);
      shown = '';
    }
    return { faults, typed };
  }

  /** Saves a block under the path that it names. */
  save(block: Block): void {
    const path = this.typed(wordOf(block, 'file') ?? '');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.typed(block.text), { mode: 0o600 });
  }

  /** Enrols the machine as `first-login.md` does, and makes its program for codes one that can be run. */
  async enrol(account: string): Promise<void> {
    for (const block of blocksOf('first-login.md').filter((one) => one.text.includes('/srv/payments')))
      if (block.words.includes('enrols') || block.text.includes("'SECRET'")) {
        const done = await this.#type(block);
        if (done.code !== 0) throw new Error(`${account} was not enrolled: ${done.out.slice(-500)}${done.err}`);
      }
    chmodSync(join(this.machine, 'code'), 0o700);
  }

  /** Answers one question: a passphrase, a ticket, or a code that was not used yet. */
  async #answer(question: string): Promise<string> {
    if (/passphrase/i.test(question)) return 'a sentence that only its owner knows';
    const account = / of (\S+) at Cofferdam /.exec(question)?.[1] ?? '';
    if (question.includes('ticket')) return this.#answers.tickets[account] ?? '';
    const secret = this.#answers.secrets[account];
    return secret === undefined ? this.world.code(account) : this.#codesOf(account).next(secret);
  }

  #codesOf(account: string): FreshCodes {
    const known = this.#codes.get(account) ?? new FreshCodes();
    this.#codes.set(account, known);
    return known;
  }

  /** Answers the questions of OpenSSH while `work` runs: each comes over a connection of its own. */
  async #answering<T>(work: (program: string) => Promise<T>): Promise<T> {
    const directory = dirname(this.person);
    const [socket, program] = [join(directory, 'asked.sock'), join(directory, 'asked.sh')];
    const server = createServer({ allowHalfOpen: true }, (connection) => {
      connection.once('data', (question) => {
        void this.#answer(question.toString('utf8')).then((answer) => connection.end(`${answer}\n`));
      });
    });
    const asks = `require('net').connect('${socket}').end(process.argv[1]).pipe(process.stdout)`;
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' -e "${asks}" -- "$1"\n`, { mode: 0o700 });
    server.listen(socket);
    await once(server, 'listening', { signal: AbortSignal.timeout(10_000) });
    try {
      return await work(program);
    } finally {
      server.close();
    }
  }

  #type(block: Block): Promise<Done> {
    return this.#answering(
      (program) =>
        new Promise((resolve, reject) => {
          const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', this.typed(block.text)], {
            cwd: dirname(this.person),
            env: { ...typistEnv(), SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force' },
            stdio: ['pipe', 'pipe', 'pipe'],
          });
          const timer = setTimeout(() => child.kill('SIGKILL'), blockMs);
          let [out, err] = ['', ''];
          child.stdin.on('error', () => {});
          if (!block.words.includes('enrols')) child.stdin.end();
          child.stdout.on('data', (chunk: Buffer) => {
            out += chunk.toString('utf8');
            if (child.stdin.writableEnded || !out.includes('type the code')) return;
            child.stdin.end(`${this.#enrolled(out)}\n`);
          });
          child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
          child.on('error', reject);
          // A connection that is kept for later commands keeps standard error open.
          child.on('exit', (code) => {
            clearTimeout(timer);
            setTimeout(() => resolve({ code, out, err }), settleMs);
          });
        }),
    );
  }

  /** Keeps the secret that an enrolment shows, and returns a code of it. */
  #enrolled(out: string): string {
    const account = /otpauth:\/\/totp\/Cofferdam:([^?]+)\?/.exec(out)?.[1] ?? '';
    this.#secret = /Secret: ([A-Z2-7]{32})/.exec(out)?.[1] ?? '';
    this.#answers.secrets[account] = this.#secret;
    // The machine's code is one that its program `code` printed, which remembers it.
    if (existsSync(this.machine))
      writeFileSync(join(this.machine, 'secret.last'), String(Math.floor(Date.now() / 30_000)));
    return this.#codesOf(account).current(this.#secret);
  }
}
