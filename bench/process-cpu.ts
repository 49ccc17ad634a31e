// Owns: how much CPU time a process and everything that it started have used.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { childrenOf } from '../test/support/world.ts';

export const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Returns the user and system time of a process and of its finished children, in seconds. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i] ?? 0), 0) / ticksPerSecond;
  } catch {
    return 0;
  }
}

/** Which process it is: what stands for its role in its command line. */
function roleOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((word) => word !== '');
    if (words.length === 1) return (words[0] ?? '').replace(/\[local\]|\d+/g, '').trim();
    const from = words.findIndex((word) => /\/(?:main|witness-child)\.ts$|bin\/postgres$/.test(word));
    return words
      .slice(Math.max(0, from))
      .map((word) => word.replace(/^.*\//, ''))
      .slice(0, 2)
      .concat(words.slice(words.indexOf('--node') + 1 || words.length).slice(0, 1))
      .join(' ');
  } catch {
    return 'gone';
  }
}

/** A process and all its descendants, by id. */
export const processesBelow = (pid: number): readonly number[] => [pid, ...childrenOf(pid).flatMap(processesBelow)];

/** The CPU time of a process with all its descendants, in seconds, those that have ended among them. */
export const cpuOfAll = (pid: number): number => processesBelow(pid).reduce((sum, one) => sum + cpuOf(one), 0);

/** The same by process, of those that run now: by their id and role. */
export const cpuOfEach = (pid: number): ReadonlyMap<string, number> =>
  new Map(processesBelow(pid).map((one) => [`${one} ${roleOf(one)}`, cpuOf(one)] as const));
