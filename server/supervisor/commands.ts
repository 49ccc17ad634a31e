// Owns: how the process of each role is started: program, arguments and environment. They are in one place so that a
// test can start the same edge.
// Must never: put a credential into an argument or an environment variable.
import { dirname, join } from 'node:path';
import type { Paths } from '../config/config.ts';

export type RoleCommand = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/**
 * Returns the command of a role. `node` is the name of the edge. `configFile` is the file that the supervisor wrote for
 * its roles.
 */
export function roleCommand(
  paths: Paths,
  projectDirectory: string,
  configFile: string,
  role: 'edge' | 'warden' | 'store' | 'admin',
  node?: string,
): RoleCommand {
  const stripped = join(projectDirectory, 'scripts', 'stripped.mjs');
  // Only code may be read. The directory var/ stands beside it, and holds the keys of all roles when they share one
  // user.
  const code = [
    join(projectDirectory, 'server'),
    stripped,
    join(projectDirectory, 'node_modules'),
    join(projectDirectory, 'package.json'),
    configFile,
    '/etc/passwd',
  ].map((path) => `--allow-fs-read=${path}`);
  const seatBelts: Readonly<Record<typeof role, readonly string[]>> = {
    warden: [],
    admin: [],
    store: [
      '--permission',
      ...code,
      `--allow-fs-read=${dirname(dirname(paths.storeControlSocket))}`,
      `--allow-fs-write=${dirname(dirname(paths.storeControlSocket))}`,
      `--allow-fs-read=${paths.objects}`,
      `--allow-fs-write=${paths.objects}`,
    ],
    edge:
      node === undefined
        ? []
        : [
            // The threads of the garbage collector compete with the clients' data for the same cores, and a measurement
            // showed that they cost more than they save here.
            '--single-threaded-gc',
            '--permission',
            '--allow-addons',
            '--allow-worker',
            ...code,
            `--allow-fs-read=${dirname(paths.wardenSocket(node))}`,
            `--allow-fs-read=${dirname(paths.storeSocket(node))}`,
            // An edge may write nothing at all.
            `--allow-fs-read=${paths.objects}`,
          ],
  };
  return {
    program: process.execPath,
    args: [
      // Without this option, a signal from a process of the same user would open a debugger on a local port, and a
      // debugger controls the whole process.
      '--disable-sigusr1',
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=SecurityWarning',
      ...seatBelts[role],
      '--import',
      stripped,
      join(projectDirectory, 'server', 'main.ts'),
      role,
      '--config',
      configFile,
      ...(node === undefined ? [] : ['--node', node]),
    ],
    env: {
      PATH: '/usr/bin:/bin',
      COFFERDAM_ROLE_CONFIG: '1',
      NODE_ENV: 'production',
      // The threads that wait for the disk: pieces are written while other objects are made durable.
      ...(role === 'store' ? { UV_THREADPOOL_SIZE: '16' } : {}),
    },
  };
}
