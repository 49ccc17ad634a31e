// Owns: the authority's command line and the real `openssl` beside it, for tests of certificates.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Done, project, run } from './world.ts';

export const certs = (...args: readonly string[]): Promise<Done> =>
  run(process.execPath, [join(project, 'certs', 'main.ts'), ...args], { timeoutMs: 30_000 });
export const openssl = (...args: readonly string[]): Promise<Done> => run('openssl', args, { timeoutMs: 30_000 });

/**
 * Returns the mode (octal) and the content of every file and directory below a directory, by relative path. When two
 * results are equal, nothing was changed in between.
 */
export function snapshot(directory: string): Readonly<Record<string, string>> {
  if (!existsSync(directory)) return {};
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const { mode } = statSync(join(directory, name));
      const content = statSync(join(directory, name)).isFile() ? readFileSync(join(directory, name), 'utf8') : '';
      return [name, `${mode.toString(8)} ${content}`];
    }),
  );
}

export const modeOf = (path: string): number => statSync(path).mode & 0o777;
