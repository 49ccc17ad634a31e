// Owns: `npm run bench [MIB] [ROUNDS]`, the measurement of the gateway beside OpenSSH's internal-sftp on the same
// machine with the same client, alternating. It reports medians and ratios and judges nothing: an upload and a download
// of 1 GiB, a login with a put of 4 KiB, and 300 files of 1 KiB in one session, with throughput and CPU seconds per GiB
// over all processes of each side. The last line of the output is JSON.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { wideBudgetsEnv } from '../test/support/bank.ts';
import { freePorts, run, startWorld, type World } from '../test/support/world.ts';
import { cpuOfAll } from './process-cpu.ts';

const mib = Number(process.argv[2] ?? 1024);
const rounds = Number(process.argv[3] ?? 3);
type Sample = { readonly seconds: number; readonly cpuSeconds: number };
type Side = {
  readonly name: string;
  readonly args: readonly string[];
  readonly deposit: string;
  readonly source: string;
  cpu(): number;
};

const manyFiles = 300;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function startOpenSsh(directory: string): Promise<{ readonly side: Side; readonly process: ChildProcess }> {
  const [port] = await freePorts(1);
  mkdirSync(join(directory, 'files'), { recursive: true });
  mkdirSync('/run/sshd', { recursive: true });
  for (const name of ['host', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, name)]);
  writeFileSync(join(directory, 'authorized'), readFileSync(join(directory, 'client.pub')), { mode: 0o600 });
  const user = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  writeFileSync(
    join(directory, 'config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${directory}/host`,
      `AuthorizedKeysFile ${directory}/authorized`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      `PidFile ${directory}/pid`,
      `Subsystem sftp internal-sftp -d ${directory}/files`,
      'Ciphers aes128-gcm@openssh.com',
      'LogLevel ERROR',
      '',
    ].join('\n'),
  );
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(directory, 'config')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const pid = child.pid ?? 0;
  const args = [
    '-F',
    '/dev/null',
    '-q',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'IdentityAgent=none',
    '-o',
    'IdentitiesOnly=yes',
    '-c',
    'aes128-gcm@openssh.com',
    '-i',
    join(directory, 'client'),
    '-P',
    String(port),
    `${user}@127.0.0.1`,
  ];
  return {
    process: child,
    side: {
      name: 'openssh',
      args,
      deposit: '',
      source: '',
      cpu: () => cpuOfAll(pid),
    },
  };
}

function gateway(world: World): Side {
  const args = world.sftpArguments('acme-batch');
  return {
    name: 'cofferdam',
    args: [...args.slice(0, -1), '-c', 'aes128-gcm@openssh.com', args.at(-1) ?? ''],
    deposit: 'deposit/',
    source: 'collect/',
    cpu: () => cpuOfAll(world.pid),
  };
}

async function measure(side: Side, line: string): Promise<Sample> {
  const before = side.cpu();
  const started = performance.now();
  const done = await run('sftp', [...side.args.slice(0, -1), '-b', '-', side.args.at(-1) ?? ''], {
    input: `${line}\n`,
    timeoutMs: 300_000,
  });
  const seconds = (performance.now() - started) / 1000;
  if (done.code !== 0) throw new Error(`${side.name}: ${line}: ${done.err}`);
  return { seconds, cpuSeconds: side.cpu() - before };
}

function makeFile(path: string, megabytes: number): void {
  const file = openSync(path, 'w');
  for (let i = 0; i < megabytes; i += 1) writeSync(file, randomBytes(1024 * 1024));
  closeSync(file);
}

const works: (() => Promise<void> | void)[] = [];
const world = await startWorld({ teardown: (work) => void works.unshift(work) }, { env: wideBudgetsEnv });
const local = join(world.directory, 'bench');
mkdirSync(local);
const big = join(local, 'big');
const small = join(local, 'small');
makeFile(big, mib);
writeFileSync(small, randomBytes(4096));
const many = join(local, 'many');
mkdirSync(many);
for (let i = 0; i < manyFiles; i += 1) writeFileSync(join(many, `file-${i}`), randomBytes(1024));
const openssh = await startOpenSsh(local);
const samples: Record<string, Sample[]> = {};
const keep = (what: string, side: Side, sample: Sample): void => {
  const key = `${what} ${side.name}`;
  samples[key] = [...(samples[key] ?? []), sample];
  const bulk =
    what === 'upload' || what === 'download'
      ? `  ${(mib / sample.seconds).toFixed(0)} MiB/s  ${((sample.cpuSeconds / mib) * 1024).toFixed(2)} CPU s/GiB`
      : '';
  process.stdout.write(
    `${key.padEnd(22)} ${sample.seconds.toFixed(2)} s  ${sample.cpuSeconds.toFixed(2)} CPU s${bulk}\n`,
  );
};
try {
  const sides = [openssh.side, gateway(world)];
  const put = await world.sftp('processor', [`put ${big} acme/collect/big`], 300_000);
  if (put.code !== 0) throw new Error(put.err);
  await measure(openssh.side, `put ${big} big`);
  for (let round = 0; round < rounds; round += 1)
    for (const side of sides) {
      keep('upload', side, await measure(side, `put ${big} ${side.deposit}up-${round}`));
      keep('download', side, await measure(side, `get ${side.source}big /dev/null`));
      if (side.name === 'openssh') rmSync(join(local, 'files', `up-${round}`));
    }
  for (let i = 0; i < 10; i += 1)
    for (const side of sides) keep('small', side, await measure(side, `put ${small} ${side.deposit}s-${i}`));
  const filled = await world.sftp('processor', [`put -r ${many} acme/collect/many`], 300_000);
  if (filled.code !== 0) throw new Error(filled.err);
  await measure(openssh.side, `put -r ${many} many`);
  for (let i = 0; i < 5; i += 1)
    for (const side of sides) {
      keep('many-put', side, await measure(side, `put -r ${many} ${side.deposit}many-${i}`));
      keep('many-get', side, await measure(side, `get -r ${side.source}many ${join(local, `got-${side.name}-${i}`)}`));
    }
  const perFile = (what: string, side: string): number =>
    Number(
      ((median((samples[`${what} ${side}`] ?? []).map((sample) => sample.seconds)) / manyFiles) * 1000).toFixed(2),
    );
  const ratio = (what: string, of: (sample: Sample) => number): number =>
    Number(
      (
        median((samples[`${what} cofferdam`] ?? []).map(of)) / median((samples[`${what} openssh`] ?? []).map(of))
      ).toFixed(3),
    );
  const throughput = (what: string): number => Number((1 / ratio(what, (sample) => sample.seconds)).toFixed(3));
  const perGiB = (what: string, side: string): number =>
    Number(((median((samples[`${what} ${side}`] ?? []).map((sample) => sample.cpuSeconds)) / mib) * 1024).toFixed(2));
  process.stdout.write(
    `${JSON.stringify({
      mib,
      rounds,
      uploadThroughputRatio: throughput('upload'),
      downloadThroughputRatio: throughput('download'),
      uploadCpuSecondsPerGiB: { cofferdam: perGiB('upload', 'cofferdam'), openssh: perGiB('upload', 'openssh') },
      downloadCpuSecondsPerGiB: { cofferdam: perGiB('download', 'cofferdam'), openssh: perGiB('download', 'openssh') },
      loginAndSmallPutTimeRatio: ratio('small', (sample) => sample.seconds),
      loginAndSmallPutCpuRatio: ratio('small', (sample) => sample.cpuSeconds),
      smallPutMsPerFile: { cofferdam: perFile('many-put', 'cofferdam'), openssh: perFile('many-put', 'openssh') },
      smallGetMsPerFile: { cofferdam: perFile('many-get', 'cofferdam'), openssh: perFile('many-get', 'openssh') },
      smallPutCpuRatio: ratio('many-put', (sample) => sample.cpuSeconds),
      smallGetCpuRatio: ratio('many-get', (sample) => sample.cpuSeconds),
      objects: readdirSync(join(world.directory, 'store', 'objects')).length,
    })}\n`,
  );
} finally {
  openssh.process.kill('SIGTERM');
  for (const work of works) await work();
}
