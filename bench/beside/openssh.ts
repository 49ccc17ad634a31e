// Owns: the side of OpenSSH's server with its `internal-sftp`.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../test/support/world.ts';
import { CpuMeter } from './cpu-meter.ts';
import { makeDirectory, plainSide, startServer } from './plain-server.ts';
import { cipher, type Side } from './side.ts';

const program = '/usr/sbin/sshd';

function versionWords(): string {
  // The client is of the same package version in Debian; older servers do not tell theirs.
  const { stderr } = spawnSync('ssh', ['-V'], { encoding: 'utf8' });
  return (/^OpenSSH_[\w.]+/.exec(stderr)?.[0] ?? 'OpenSSH').replace('_', ' ');
}

export async function startOpenSsh(parent: string): Promise<Side> {
  if (!existsSync(program)) throw new Error('OpenSSH has no server here: apt-get install openssh-server');
  const [port = 0] = await freePorts(1);
  const directory = makeDirectory(parent, 'openssh');
  copyFileSync(join(directory, 'client.pub'), join(directory, 'authorized'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) mkdirSync('/run/sshd', { recursive: true });
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${directory}/host`,
    `AuthorizedKeysFile ${directory}/authorized`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    // Sixteen clients log in at the same time.
    'MaxStartups 100',
    `PidFile ${directory}/pid`,
    'Subsystem sftp internal-sftp',
    `Ciphers ${cipher}`,
    'LogLevel ERROR',
    '',
  ];
  writeFileSync(join(directory, 'config'), config.join('\n'));
  const cpu = new CpuMeter('openssh');
  const child = await startServer([program, '-D', '-e', '-f', join(directory, 'config')], {
    port,
    cpu,
    log: join(directory, 'log'),
  });
  const user = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  return plainSide({ name: 'openssh', title: versionWords(), cpu, directory, port, user, child });
}
