// Owns: how the libraries of other languages do what `clients.ts` asks of every client. Each has a small program beside
// this file; an operation is a line of its standard input.
import { join } from 'node:path';
import { type Done, run } from '../support/world.ts';
import type { Client, Gateway, Kind, Op } from './clients.ts';
import * as toolchains from './toolchains.ts';
import { LeftOut } from './toolchains.ts';

const everything: readonly Kind[] = ['put', 'get', 'list', 'rename', 'remove', 'resume'];
const timeoutMs = 180_000;
const env = { LC_ALL: 'C.UTF-8' };
const here = (name: string): string => join(import.meta.dirname, name);

type Command = readonly [program: string, ...args: readonly string[]];
type Shape = Pick<Client, 'name' | 'profile'> & Partial<Pick<Client, 'kinds' | 'answers' | 'tells'>>;

const given = ({ host, port, user, key, knownHosts, code }: Gateway): readonly string[] => [
  host,
  String(port),
  user,
  key,
  knownHosts,
  code ?? '',
];

/** A client whose program is made by `command`, and whose version `version` tells. */
function library(
  shape: Shape,
  command: () => Promise<Command>,
  version: (command: Command) => Promise<string> | string,
): Client {
  return {
    kinds: everything,
    isOptional: true,
    ...shape,
    version: async () => version(await command()),
    run: async (gateway: Gateway, ops: readonly Op[]): Promise<Done> => {
      const [program, ...args] = await command();
      return run(program, [...args, ...given(gateway)], {
        input: `${ops.map((op) => op.join('\t')).join('\n')}\n`,
        timeoutMs,
        env,
      });
    },
  };
}

/** Returns what a program prints about a library that Debian packages; throws `LeftOut` when that is not here. */
async function told(program: string, args: readonly string[], name: string): Promise<string> {
  const done = await run(program, args, { timeoutMs: 20_000, env }).catch(() => undefined);
  if (done?.code !== 0) throw new LeftOut(`there is no ${name} of Debian's here`);
  return `${name} ${done.out.trim().split('\n')[0] ?? ''}`;
}

function java(directory: string): readonly Client[] {
  const classes = toolchains.javaPrograms(directory);
  const versionOf = (name: string): string =>
    `${name} ${toolchains.javaLibraries.find(([, artifact]) => artifact === name)?.[2] ?? ''}`;
  const one = (name: string, main: string, artifact: string): Client =>
    library(
      { name, profile: 'default', answers: true },
      async () => ['java', '-cp', await classes(), main],
      () => versionOf(artifact),
    );
  return [
    one('JSch (fork of mwiede)', 'WithJsch', 'jsch'),
    one('Apache MINA SSHD', 'WithMina', 'sshd-sftp'),
    one('sshj', 'WithSshj', 'sshj'),
  ];
}

function python(directory: string): readonly Client[] {
  const interpreter = toolchains.pythonLibraries(directory);
  return ['paramiko', 'asyncssh'].map((name) => ({
    name: `${name}, newest`,
    profile: 'default',
    kinds: everything,
    isOptional: true,
    answers: true,
    version: async () => told(await interpreter(), [here(`with-${name}.py`), '{"version":true}'], name),
    run: async (gateway, ops) =>
      run(await interpreter(), [here(`with-${name}.py`), JSON.stringify({ ...gateway, ops })], { timeoutMs, env }),
  }));
}

function php(): readonly Client[] {
  const has = (test: string): readonly string[] => ['-r', `exit(${test} ? 0 : 1);`];
  return [
    library(
      { name: 'phpseclib', profile: 'legacy', answers: true },
      async () => ['php', here('with-phpseclib.php')],
      async () => {
        await told('php', has("stream_resolve_include_path('phpseclib3/autoload.php')"), 'phpseclib 3');
        return told('dpkg-query', ['-W', 'php-phpseclib3'], 'phpseclib');
      },
    ),
    library(
      { name: 'PHP ssh2 (libssh2)', profile: 'legacy', tells: 'status' },
      async () => ['php', here('with-ssh2.php')],
      async () => {
        await told('php', has("extension_loaded('ssh2')"), 'php-ssh2');
        return told('php', ['-r', "echo phpversion('ssh2');"], 'php-ssh2');
      },
    ),
  ];
}

/** Returns the clients whose programs are made in `directory` when they are first asked for. */
export function libraries(directory: string): readonly Client[] {
  const [go, node, c] = [
    toolchains.goProgram(directory),
    toolchains.nodeLibrary(directory),
    toolchains.libsshProgram(directory),
  ];
  return [
    ...java(directory),
    library(
      { name: 'pkg/sftp (Go)', profile: 'default', answers: true, tells: 'status' },
      async () => [await go()],
      () => `pkg/sftp ${toolchains.goVersions.sftp}, x/crypto ${toolchains.goVersions.crypto}`,
    ),
    library(
      { name: 'ssh2-sftp-client (Node.js)', profile: 'default', answers: true },
      async () => [process.execPath, here('with-ssh2-sftp-client.ts'), await node()],
      () => `ssh2-sftp-client ${toolchains.nodeVersion}`,
    ),
    ...python(directory),
    library(
      { name: 'libssh', profile: 'default', answers: true, tells: 'status' },
      async () => [await c()],
      async () => told('dpkg-query', ['-W', 'libssh-dev'], 'libssh'),
    ),
    library(
      { name: 'Net::SFTP::Foreign (Perl)', profile: 'default' },
      async () => ['perl', here('with-foreign.pl')],
      async () =>
        told('perl', ['-MNet::SFTP::Foreign', '-e', 'print $Net::SFTP::Foreign::VERSION'], 'Net::SFTP::Foreign'),
    ),
    ...php(),
  ];
}
