// Owns: on what was measured, and of which commit.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { project } from '../../test/support/world.ts';

export type Machine = {
  readonly date: string;
  readonly commit: string;
  readonly cores: number;
  readonly model: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly node: string;
};

/** The kind of the file system of a directory: the mount with the longest path that leads to it. */
function fileSystemOf(directory: string): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((row) => row.split(' '))
    .filter(([, path = '']) => path === '/' || directory === path || directory.startsWith(`${path}/`));
  return mounts.toSorted(([, a = ''], [, b = '']) => a.length - b.length).at(-1)?.[2] ?? 'unknown';
}

/** The short name of the commit and its subject; says when the tree differs from it. */
function commitWords(): string {
  const git = (...args: readonly string[]): string =>
    spawnSync('git', ['-c', `safe.directory=${project}`, ...args], { cwd: project, encoding: 'utf8' }).stdout?.trim() ??
    '';
  const commit = git('log', '-1', '--format=%h (%s)');
  if (commit === '') return 'unknown';
  return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit} with changes`;
}

/** `directory` is where the servers have their files. */
export const describeMachine = (directory: string): Machine => ({
  date: new Date().toISOString().slice(0, 10),
  commit: commitWords(),
  cores: cpus().length,
  model: cpus()[0]?.model ?? 'unknown',
  memoryGib: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  fileSystem: fileSystemOf(directory),
  node: process.version,
});
