// Owns: the side of ProFTPD with `mod_sftp`, where Debian's packages of it are installed.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../test/support/world.ts';
import { CpuMeter } from './cpu-meter.ts';
import { makeDirectory, plainSide, startServer } from './plain-server.ts';
import { cipher, type Side } from './side.ts';

const program = '/usr/sbin/proftpd';
const modules = (name: string): readonly string[] => globSync(`/usr/lib/{,*/}proftpd/${name}.so`);

/** Says why ProFTPD cannot be measured here; undefined when it can. */
export function proftpdIsMissing(): string | undefined {
  if (!existsSync(program)) return 'it is not installed (apt-get install proftpd-core proftpd-mod-crypto)';
  if (modules('mod_sftp').length === 0) return 'it has no mod_sftp (apt-get install proftpd-mod-crypto)';
  if (process.getuid?.() !== 0) return 'only root can start it';
  return undefined;
}

function versionWords(): string {
  const { stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' });
  return `ProFTPD ${/Version ([\w.]+)/.exec(stdout + stderr)?.[1] ?? ''} mod_sftp`;
}

const user = 'bench';

export async function startProftpd(parent: string): Promise<Side> {
  const [port = 0] = await freePorts(1);
  const directory = makeDirectory(parent, 'proftpd');
  const key = execFileSync('ssh-keygen', ['-e', '-f', join(directory, 'client.pub')]);
  writeFileSync(join(directory, 'authorized'), key, { mode: 0o600 });
  // A user of its own file of users, with the rights of root, as on the other side, and no password.
  writeFileSync(join(directory, 'passwd'), `${user}:*:0:0::${directory}/files:/bin/sh\n`, { mode: 0o600 });
  writeFileSync(join(directory, 'group'), 'root:*:0:\n', { mode: 0o600 });
  const config = [
    `ModulePath ${modules('mod_sftp')[0]?.replace(/\/[^/]+$/, '')}`,
    'LoadModule mod_sftp.c',
    'ServerType standalone',
    'DefaultAddress 127.0.0.1',
    'SocketBindTight on',
    `Port ${port}`,
    'User root',
    'Group root',
    'RootLogin on',
    'UseReverseDNS off',
    'WtmpLog off',
    'TransferLog none',
    `PidFile ${directory}/pid`,
    `ScoreboardFile ${directory}/scoreboard`,
    `DelayTable ${directory}/delay`,
    'MaxInstances 100',
    'AllowOverwrite on',
    'RequireValidShell off',
    'AuthOrder mod_auth_file.c',
    `AuthUserFile ${directory}/passwd`,
    `AuthGroupFile ${directory}/group`,
    'SFTPEngine on',
    `SFTPHostKey ${directory}/host`,
    `SFTPAuthorizedUserKeys file:${directory}/authorized`,
    'SFTPAuthMethods publickey',
    `SFTPCiphers ${cipher}`,
    '',
  ];
  writeFileSync(join(directory, 'config'), config.join('\n'), { mode: 0o600 });
  const cpu = new CpuMeter('proftpd');
  const child = await startServer([program, '--nodaemon', '--config', join(directory, 'config')], {
    port,
    cpu,
    log: join(directory, 'log'),
  });
  return plainSide({ name: 'proftpd', title: versionWords(), cpu, directory, port, user, child });
}
