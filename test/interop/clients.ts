// Owns: how each real client is told to do the same things.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Done, run } from '../support/world.ts';

export type Op =
  | readonly ['put', string, string]
  | readonly ['get', string, string]
  | readonly ['list', string]
  | readonly ['rename', string, string]
  | readonly ['remove', string]
  /** The remote file, and a local file that has its beginning. */
  | readonly ['resume', string, string];
export type Kind = Op[0];

export type Gateway = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH private key, with its public half beside it as .pub, and PuTTY's form as .ppk. */
  readonly key: string;
  readonly knownHosts: string;
  readonly fingerprint: string;
  /** The code to answer with, where the account has one. */
  readonly code?: string;
};

export type Client = {
  readonly name: string;
  readonly profile: 'default' | 'legacy';
  readonly kinds: readonly Kind[];
  /** Files must be below this directory: a root of its own, or the client's usual one. */
  readonly root?: string;
  /**
   * A line that names the version, or undefined when the client is not on this machine. A client that can be left out
   * throws `LeftOut` with the reason.
   */
  readonly version: () => Promise<string | undefined>;
  /** Whether a machine without it is none that lacks something: its toolchain or package is not installed for a run. */
  readonly isOptional?: boolean;
  /** Whether it answers the question for a code. */
  readonly answers?: boolean;
  /** What it shows of a refusal: the sentence of the gateway (the default), or only its own word for the status. */
  readonly tells?: 'sentence' | 'status';
  readonly run: (gateway: Gateway, ops: readonly Op[]) => Promise<Done>;
  /** What only this client does: names of checks, and whether each succeeded. `home` is a directory for its files. */
  readonly extra?: (gateway: Gateway, home: string, slug: string) => Promise<Readonly<Record<string, boolean>>>;
};

const everything: readonly Kind[] = ['put', 'get', 'list', 'rename', 'remove', 'resume'];
const timeoutMs = 180_000;
const env = { LC_ALL: 'C.UTF-8' };
const fine: Done = { code: 0, out: '', err: '' };

/** Runs one command for each operation, until one fails. */
async function each(ops: readonly Op[], one: (op: Op) => Promise<Done>): Promise<Done> {
  let all = fine;
  for (const op of ops) {
    const done = await one(op);
    all = { code: done.code, out: all.out + done.out, err: all.err + done.err };
    if (done.code !== 0) break;
  }
  return all;
}

async function versionOf(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const done = await run(program, args, { timeoutMs: 20_000, env });
    return `${done.out}\n${done.err}`.trim().split('\n')[0];
  } catch {
    return undefined;
  }
}

const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const sshOptions = (gateway: Gateway, local: (path: string) => string): readonly string[] => [
  '-F',
  '/dev/null',
  ...[
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${local(gateway.knownHosts)}`,
    'BatchMode=yes',
  ].flatMap((one) => ['-o', one]),
  '-i',
  local(gateway.key),
];

function openssh(name: string, root: string | undefined): readonly Client[] {
  const local = (path: string): string => (root === undefined ? path : path.slice(root.length));
  const inside = (program: string, args: readonly string[], input = ''): Promise<Done> =>
    root === undefined
      ? run(program, args, { input, timeoutMs, env })
      : run('chroot', [root, program, ...args], { input, timeoutMs, env });
  const version = async (): Promise<string | undefined> => {
    if (root !== undefined && !existsSync(join(root, 'usr/bin/ssh'))) return undefined;
    return root === undefined ? versionOf('ssh', ['-V']) : versionOf('chroot', [root, 'ssh', '-V']);
  };
  const line = (op: Op): string => {
    switch (op[0]) {
      case 'put':
        return `put ${quoted(local(op[1]))} ${quoted(op[2])}`;
      case 'get':
        return `get ${quoted(op[1])} ${quoted(local(op[2]))}`;
      case 'resume':
        return `reget ${quoted(op[1])} ${quoted(local(op[2]))}`;
      case 'list':
        return `ls -1 ${quoted(op[1])}`;
      case 'rename':
        return `rename ${quoted(op[1])} ${quoted(op[2])}`;
      case 'remove':
        return `rm ${quoted(op[1])}`;
    }
  };
  const rooted = root === undefined ? {} : { root };
  return [
    {
      name: `${name} sftp`,
      profile: 'default',
      kinds: everything,
      ...rooted,
      version,
      extra: async (gateway, home, slug) => {
        const file = join(home, 'size-16777217');
        const options = ['-v', '-o', 'RekeyLimit=4M', ...sshOptions(gateway, local), '-P', String(gateway.port)];
        const done = await inside(
          'sftp',
          [...options, '-b', '-', `${gateway.user}@${gateway.host}`],
          `put ${quoted(local(file))} deposit/${slug}-rekeyed\n`,
        );
        const exchanges = done.err.match(/kex: algorithm: \S+/g) ?? [];
        const method = root === undefined ? 'curve25519-sha256' : 'mlkem768x25519-sha256';
        return {
          [`${method} each time, through rekeys (${exchanges.length})`]:
            done.code === 0 && exchanges.length > 1 && exchanges.every((line) => line.endsWith(method)),
          'no warning': !/warning|not using a post-quantum/i.test(done.err),
        };
      },
      run: (gateway, ops) =>
        inside(
          'sftp',
          [...sshOptions(gateway, local), '-P', String(gateway.port), '-b', '-', `${gateway.user}@${gateway.host}`],
          `${ops.map(line).join('\n')}\n`,
        ),
    },
    {
      name: `${name} scp`,
      profile: 'default',
      kinds: ['put', 'get'],
      ...rooted,
      version,
      run: (gateway, ops) =>
        each(ops, (op) => {
          const remote = (path: string): string => `${gateway.user}@${gateway.host}:${path}`;
          const [from, to] = op[0] === 'put' ? [local(op[1]), remote(op[2])] : [remote(op[1]), local(op[2] ?? '')];
          return inside('scp', [...sshOptions(gateway, local), '-q', '-P', String(gateway.port), from, to]);
        }),
    },
  ];
}

const psftp: Client = {
  name: 'PuTTY psftp',
  profile: 'default',
  kinds: everything,
  version: async () => versionOf('psftp', ['-V']),
  run: (gateway, ops) => {
    const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const line = (op: Op): string => {
      const words = op.slice(1).map((text) => quote(text ?? ''));
      const verb = { put: 'put', get: 'get', resume: 'reget', list: 'ls', rename: 'mv', remove: 'rm' }[op[0]];
      return `${verb} ${words.join(' ')}`;
    };
    const script = `${gateway.key}.psftp-${process.hrtime.bigint()}`;
    writeFileSync(script, `${ops.map(line).join('\n')}\nquit\n`);
    const args = [
      '-batch',
      '-P',
      String(gateway.port),
      '-i',
      `${gateway.key}.ppk`,
      '-hostkey',
      gateway.fingerprint,
      '-b',
      script,
    ];
    return run('psftp', [...args, `${gateway.user}@${gateway.host}`], { timeoutMs, env });
  },
};

function lftpScript(gateway: Gateway, lines: readonly string[]): Promise<Done> {
  const script = [
    'set cmd:fail-exit yes',
    'set net:max-retries 1',
    'set xfer:clobber on',
    `set sftp:connect-program ${quoted(`ssh -a -x ${sshOptions(gateway, (path) => path).join(' ')}`)}`,
    `open sftp://${gateway.user}:@${gateway.host}:${gateway.port}`,
    ...lines,
    'bye',
  ];
  return run('lftp', ['-c', script.join('\n')], { timeoutMs, env });
}

const lftp: Client = {
  name: 'lftp',
  profile: 'default',
  kinds: everything,
  version: () => versionOf('lftp', ['--version']),
  run: (gateway, ops) => {
    const line = (op: Op): string => {
      switch (op[0]) {
        case 'put':
          return `put ${quoted(op[1])} -o ${quoted(op[2])}`;
        case 'get':
          return `get ${quoted(op[1])} -o ${quoted(op[2])}`;
        case 'resume':
          return `get -c ${quoted(op[1])} -o ${quoted(op[2])}`;
        case 'list':
          return `cls -1 ${quoted(`${op[1]}/`)}`;
        case 'rename':
          return `mv ${quoted(op[1])} ${quoted(op[2])}`;
        case 'remove':
          return `rm ${quoted(op[1])}`;
      }
    };
    return lftpScript(gateway, ops.map(line));
  },
  extra: async (gateway, home, slug) => {
    const down = await lftpScript(gateway, [`mirror --parallel=4 collect/many ${quoted(join(home, 'mirror'))}`]);
    const up = await lftpScript(gateway, [
      `mirror -R --parallel=4 ${quoted(join(home, 'mirror'))} deposit/${slug}-tree`,
      `cls -1 deposit/${slug}-tree/`,
    ]);
    const names = new Set(up.out.match(/many-\d{4}/g)).size;
    return {
      'mirror, four at a time': down.code === 0 && readdirSync(join(home, 'mirror')).length === 1000,
      'mirror back, four at a time': up.code === 0 && names === 1000,
    };
  },
};

const curl: Client = {
  name: 'curl',
  tells: 'status',
  profile: 'legacy',
  kinds: everything,
  version: () => versionOf('curl', ['-V']),
  run: (gateway, ops) =>
    each(ops, (op) => {
      const url = (path: string): string =>
        `sftp://${gateway.host}:${gateway.port}/${path.split('/').map(encodeURIComponent).join('/')}`;
      const common = [
        '-sS',
        '--globoff',
        '--key',
        gateway.key,
        '--pubkey',
        `${gateway.key}.pub`,
        '-u',
        `${gateway.user}:`,
        '--insecure',
      ];
      const quote = (...words: readonly string[]): readonly string[] => [
        '-Q',
        words.map((word, i) => (i === 0 ? word : quoted(`/${word}`))).join(' '),
        '-o',
        '/dev/null',
        url(''),
      ];
      const args = {
        put: () => ['-T', op[1], url(op[2] ?? '')],
        get: () => ['-o', op[2] ?? '', url(op[1])],
        resume: () => ['-C', '-', '-o', op[2] ?? '', url(op[1])],
        list: () => ['-l', `${url(op[1])}/`],
        rename: () => quote('rename', op[1], op[2] ?? ''),
        remove: () => quote('rm', op[1]),
      }[op[0]]();
      return run('curl', [...common, ...args], { timeoutMs, env });
    }),
};

function rcloneWords(gateway: Gateway): { readonly at: (path: string) => string; readonly common: readonly string[] } {
  const settings = {
    host: gateway.host,
    port: gateway.port,
    user: gateway.user,
    key_file: gateway.key,
    shell_type: 'none',
    md5sum_command: 'none',
    sha1sum_command: 'none',
  };
  const at = (path: string): string =>
    `:sftp,${Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(',')}:${path}`;
  const common = ['--config', '/dev/null', '--retries', '1', '--low-level-retries', '2'];
  return { at, common };
}

const rclone: Client = {
  name: 'rclone',
  profile: 'legacy',
  tells: 'status',
  kinds: ['put', 'get', 'list', 'rename', 'remove'],
  version: () => versionOf('rclone', ['version']),
  run: (gateway, ops) => {
    const { at, common } = rcloneWords(gateway);
    return each(ops, (op) => {
      const args = {
        put: () => ['copyto', op[1], at(op[2] ?? '')],
        get: () => ['copyto', at(op[1]), op[2] ?? ''],
        list: () => ['lsf', at(op[1])],
        rename: () => ['moveto', at(op[1]), at(op[2] ?? '')],
        remove: () => ['deletefile', at(op[1])],
        resume: () => ['version'],
      }[op[0]]();
      return run('rclone', [...common, ...args], { timeoutMs, env });
    });
  },
  extra: async (gateway, home) => {
    const { at, common } = rcloneWords(gateway);
    const target = join(home, 'tree');
    const copied = await run('rclone', [...common, 'copy', at('collect/many'), target], { timeoutMs, env });
    const checked = await run('rclone', [...common, 'check', '--download', at('collect/many'), target], {
      timeoutMs,
      env,
    });
    return {
      'copy of a folder': copied.code === 0 && readdirSync(target).length === 1000,
      'check of a folder': checked.code === 0,
    };
  },
};

const sshfs: Client = {
  name: 'sshfs',
  tells: 'status',
  profile: 'default',
  kinds: ['put', 'get', 'list', 'rename', 'remove'],
  version: async () => (existsSync('/dev/fuse') ? versionOf('sshfs', ['-V']) : undefined),
  run: async (gateway, ops) => {
    const mount = `${gateway.key}.mount-${process.hrtime.bigint()}`;
    mkdirSync(mount);
    const ssh = `ssh ${sshOptions(gateway, (path) => path).join(' ')}`;
    const mounted = await run(
      'sshfs',
      ['-p', String(gateway.port), '-o', `ssh_command=${ssh}`, `${gateway.user}@${gateway.host}:/`, mount],
      { timeoutMs: 30_000, env },
    );
    if (mounted.code !== 0) return mounted;
    try {
      // cp in a process of its own: a file system that hangs must not block the test.
      return await each(ops, async (op) => {
        const at = (path: string): string => join(mount, path);
        switch (op[0]) {
          case 'put':
            return run('cp', [op[1], at(op[2])], { timeoutMs });
          case 'get':
            return run('cp', [at(op[1]), op[2]], { timeoutMs });
          case 'list':
            return run('ls', ['-1', at(op[1])], { timeoutMs });
          case 'rename':
            return run('mv', [at(op[1]), at(op[2])], { timeoutMs });
          default:
            return run('rm', [at(op[1])], { timeoutMs });
        }
      });
    } finally {
      await run('fusermount3', ['-u', mount], { timeoutMs: 20_000 }).catch(() =>
        run('fusermount', ['-u', mount], { timeoutMs: 20_000 }),
      );
    }
  },
};

function python(name: string, profile: Client['profile']): Client {
  const script = join(import.meta.dirname, `with-${name}.py`);
  return {
    name,
    profile,
    kinds: everything,
    answers: true,
    version: async () => {
      const done = await run('/usr/bin/python3', [script, JSON.stringify({ version: true })], {
        timeoutMs: 20_000,
      }).catch(() => undefined);
      return done?.code === 0 ? `${name} ${done.out.trim()}` : undefined;
    },
    run: (gateway, ops) => run('/usr/bin/python3', [script, JSON.stringify({ ...gateway, ops })], { timeoutMs, env }),
  };
}

/** OpenSSH 10 is in a directory with Debian 13 of its own. */
export const trixie = join(import.meta.dirname, '..', '..', '.interop', 'trixie');

export const clients: readonly Client[] = [
  ...openssh('OpenSSH (this machine)', undefined),
  ...openssh('OpenSSH 10 (Debian 13)', trixie),
  psftp,
  lftp,
  curl,
  rclone,
  sshfs,
  python('paramiko', 'legacy'),
  python('asyncssh', 'legacy'),
];

export function emptyDirectory(path: string): string {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}
