// Owns: how each role's process is started: program, arguments, environment. One place, so that a test can start the very same edge.
// Must never: put a credential into an argument or an environment variable.
import { dirname, join } from 'node:path';
import { type Config, runtimePaths } from '../config/config.ts';

export type RoleCommand = { readonly program: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** `node` names the edge. `configFile` is what the supervisor wrote for its roles. */
export function roleCommand(
  config: Config,
  projectDirectory: string,
  configFile: string,
  role: 'edge' | 'warden' | 'admin',
  node?: string,
): RoleCommand {
  const paths = runtimePaths(config);
  const stripped = join(projectDirectory, 'scripts', 'stripped.mjs');
  const seatBelt =
    role === 'edge' && node !== undefined
      ? [
          // Collector threads compete with the client's bytes for the same cores, and cost more than they save here (measured).
          '--single-threaded-gc',
          '--permission',
          '--allow-addons',
          '--allow-worker',
          // Code only: var/, with everybody's keys when roles share one user, stands beside it.
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
      // A signal of the same user would open a debugger, which is the whole process, on a local port.
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
