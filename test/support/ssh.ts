// Owns: the real `ssh` and `sftp` with answers to whatever they are asked: password, code, ticket, and the console's
// own questions.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import type { Done, World } from './world.ts';

export type SshRun = {
  readonly account: string;
  readonly keyFile?: string;
  readonly code?: string;
  readonly password?: string;
  readonly ticket?: string;
  /** Of the internal plane. */
  readonly isInternal?: boolean;
  /** The local address to connect from. */
  readonly from?: string;
  readonly methods?: string;
  /** What goes to standard input: at once, or once the output so far asks for it (then nothing more). */
  readonly input?: string | ((out: string) => string | undefined);
  readonly timeoutMs?: number;
};

function environment(world: World, run: SshRun): Record<string, string | undefined> {
  const script = join(world.directory, 'answer.sh');
  writeFileSync(
    script,
    '#!/bin/sh\ncase "$1" in *assword*) echo "$T_PASSWORD";; *icket*) echo "$T_TICKET";; *) echo "$T_CODE";; esac\n',
    {
      mode: 0o755,
    },
  );
  return {
    ...process.env,
    SSH_ASKPASS: script,
    SSH_ASKPASS_REQUIRE: 'force',
    T_PASSWORD: run.password ?? '',
    T_TICKET: run.ticket ?? '',
    T_CODE: run.code ?? '',
  };
}

function options(world: World, run: SshRun, portFlag: '-p' | '-P'): readonly string[] {
  const { host, port } = run.isInternal === true ? world.demo.internal : world.demo.partner;
  const methods =
    run.methods ??
    [run.keyFile === undefined ? '' : 'publickey', run.password === undefined ? '' : 'password', 'keyboard-interactive']
      .filter((one) => one !== '')
      .join(',');
  return [
    '-F',
    '/dev/null',
    ...[
      // Before sftp's own `-b`: the first option counts.
      'BatchMode=no',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'ConnectTimeout=10',
      'NumberOfPasswordPrompts=1',
      'LogLevel=ERROR',
      `PreferredAuthentications=${methods}`,
      `UserKnownHostsFile=${join(world.directory, 'demo', 'known_hosts')}`,
      'StrictHostKeyChecking=yes',
      ...(run.from === undefined ? [] : [`BindAddress=${run.from}`]),
    ].flatMap((one) => ['-o', one]),
    ...(run.keyFile === undefined ? [] : ['-i', run.keyFile]),
    portFlag,
    String(port),
    `${run.account}@${host}`,
  ];
}

function start(program: string, args: readonly string[], world: World, run: SshRun): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { env: environment(world, run), stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), run.timeoutMs ?? 60_000);
    let out = '';
    let err = '';
    const { input } = run;
    let hasAnswered = false;
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
      if (typeof input !== 'function' || hasAnswered) return;
      const answer = input(out);
      if (answer === undefined) return;
      hasAnswered = true;
      child.stdin.end(answer);
    });
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
    if (typeof input !== 'function') child.stdin.end(input ?? '');
  });
}

/** One console command through the real `ssh`. */
export function sshCommand(world: World, run: SshRun, command: string): Promise<Done> {
  return start('ssh', [...options(world, run, '-p'), ...(command === '' ? [] : [command])], world, run);
}

/** Logs in once and keeps the connection; each command is a channel of its own (ControlMaster of OpenSSH). */
export async function sshConnection(
  world: World,
  run: SshRun,
): Promise<{
  readonly code: number | null;
  readonly err: string;
  say(command: string, input?: SshRun['input']): Promise<Done>;
  close(): Promise<void>;
}> {
  const socket = join(world.directory, `control-${run.account}-${Math.random().toString(36).slice(2, 8)}`);
  const control = ['-o', `ControlPath=${socket}`];
  const { input: _none, ...plain } = run;
  const opened = await start(
    'ssh',
    [...control, '-o', 'ControlMaster=yes', '-o', 'ControlPersist=300', ...options(world, run, '-p'), 'help'],
    world,
    plain,
  );
  return {
    code: opened.code,
    err: opened.err,
    say: (command, input) =>
      start('ssh', [...control, ...options(world, run, '-p'), command], world, {
        ...plain,
        ...(input === undefined ? {} : { input }),
      }),
    close: async () => {
      await start('ssh', [...control, '-O', 'exit', ...options(world, run, '-p')], world, plain);
    },
  };
}

/** Batch lines through the real `sftp`. */
export function sftpLines(world: World, run: SshRun, lines: readonly string[]): Promise<Done> {
  const all = options(world, run, '-P');
  return start('sftp', [...all.slice(0, -1), '-b', '-', all.at(-1) ?? ''], world, {
    ...run,
    input: `${lines.join('\n')}\n`,
  });
}

/** A new Ed25519 key pair in the world's directory: FILE and FILE.pub. */
export function makeKey(
  world: World,
  name: string,
): { readonly file: string; readonly publicLine: string; readonly privateText: string } {
  const pair = newOpenSshKeyPair(name);
  const file = join(world.directory, `key-${name}`);
  writeFileSync(file, pair.privateText, { mode: 0o600 });
  writeFileSync(`${file}.pub`, `${pair.publicLine}\n`);
  return { file, ...pair };
}
