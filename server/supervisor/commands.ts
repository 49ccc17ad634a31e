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
  role: 'edge' | 'warden' | 'admin',
  node?: string,
): RoleCommand {
  const stripped = join(projectDirectory, 'scripts', 'stripped.mjs');
  const seatBelt =
    role === 'edge' && node !== undefined
      ? [
          // The threads of the garbage collector compete with the clients' data for the same cores, and a measurement
          // showed that they cost more than they save here.
          '--single-threaded-gc',
          '--permission',
          '--allow-addons',
          '--allow-worker',
          // Only code may be read. The directory var/ stands beside it, and holds the keys of all roles when they share
          // one user.
          `--allow-fs-read=${join(projectDirectory, 'server')}`,
          `--allow-fs-read=${stripped}`,
          `--allow-fs-read=${join(projectDirectory, 'node_modules')}`,
          `--allow-fs-read=${join(projectDirectory, 'package.json')}`,
          `--allow-fs-read=${configFile}`,
          '--allow-fs-read=/etc/passwd',
          `--allow-fs-read=${dirname(paths.wardenSocket(node))}`,
          `--allow-fs-read=${paths.objects}`,
          `--allow-fs-read=${paths.incoming(node)}`,
          `--allow-fs-write=${paths.incoming(node)}`,
        ]
      : [];
  return {
    program: process.execPath,
    args: [
      // Without this option, a signal from a process of the same user would open a debugger on a local port, and a
      // debugger controls the whole process.
      '--disable-sigusr1',
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=SecurityWarning',
      ...seatBelt,
      '--import',
      stripped,
      join(projectDirectory, 'server', 'main.ts'),
      role,
      '--config',
      configFile,
      ...(node === undefined ? [] : ['--node', node]),
    ],
    env: { PATH: '/usr/bin:/bin', COFFERDAM_ROLE_CONFIG: '1', NODE_ENV: 'production' },
  };
}
