// Owns: what the servers have in common that store plain files in a directory: OpenSSH's and ProFTPD's.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { happens } from '../../server/domain/bounded.ts';
import type { CpuMeter } from './cpu-meter.ts';
import { cipher, type Side } from './side.ts';

const startMs = 20_000;
const stopMs = 20_000;

/** A directory with a host key, a key of the client, and a folder for its files. */
export function makeDirectory(parent: string, name: string): string {
  const directory = join(parent, name);
  for (const folder of ['put', 'collect']) mkdirSync(join(directory, 'files', folder), { recursive: true });
  for (const key of ['host', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, key)]);
  return directory;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/**
 * Starts a server within the meter; what it says goes into `log`. Resolves when it listens; rejects when it ends or
 * does not.
 */
export async function startServer(
  command: readonly string[],
  { port, cpu, log }: { readonly port: number; readonly cpu: CpuMeter; readonly log: string },
): Promise<ChildProcess> {
  const [program = '', ...args] = [...cpu.prefix, ...command];
  const said = openSync(log, 'a', 0o600);
  const child = spawn(program, args, { stdio: ['ignore', said, said] });
  closeSync(said);
  cpu.pid = child.pid ?? 0;
  for (const end = Date.now() + startMs; !(await listens(port)); await sleep(50)) {
    const fault = child.exitCode === null ? 'does not listen' : `ended with ${child.exitCode}`;
    if (child.exitCode === null && Date.now() < end) continue;
    child.kill('SIGKILL');
    throw new Error(`${command[0]} ${fault}: ${readFileSync(log, 'utf8').slice(-2000)}`);
  }
  return child;
}

/** The side of a server that serves `<directory>/files` with the absolute paths of this machine. */
export function plainSide(
  given: Pick<Side, 'name' | 'title' | 'cpu'> & {
    readonly directory: string;
    readonly port: number;
    readonly user: string;
    readonly child: ChildProcess;
  },
): Side {
  const { name, title, cpu, directory, port, user, child } = given;
  const files = join(directory, 'files');
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentityAgent=none'];
  return {
    name,
    title,
    cpu,
    args: [
      ...['-F', '/dev/null', '-q', ...[...options, 'IdentitiesOnly=yes'].flatMap((one) => ['-o', one])],
      ...['-i', join(directory, 'client'), '-P', String(port), '-c', cipher, `${user}@127.0.0.1`],
    ],
    deposit: `${files}/put/`,
    collect: `${files}/collect/`,
    fill: async (folder, directories) => {
      mkdirSync(join(files, 'collect', folder));
      for (const one of directories)
        for (const file of readdirSync(one)) copyFileSync(join(one, file), join(files, 'collect', folder, file));
    },
    clear: (one) => rmSync(join(files, 'put', one), { recursive: true, force: true }),
    stop: async () => {
      const over = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGTERM') && !(await happens(stopMs, over))) child.kill('SIGKILL');
      cpu.remove();
    },
  };
}
