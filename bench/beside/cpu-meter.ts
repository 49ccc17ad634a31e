// Owns: how much processor time a program and everything that it starts has used, processes included that are over. A
// control group of its own counts it exactly where we may make one; elsewhere it is the sum over the processes below
// the program, with what each of them has counted of its finished children.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { cpuOfAll, ticksPerSecond } from '../process-cpu.ts';

/** The processor time of the children of this process that are over, in seconds: of the clients. */
export function finishedChildrenSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / ticksPerSecond;
}

type Kind = {
  readonly controller: string;
  readonly type: string;
  readonly file: string;
  seconds(text: string): number;
};
const kinds: readonly Kind[] = [
  {
    controller: 'cpuacct',
    type: 'cgroup',
    file: 'cpuacct.usage',
    seconds: (text) => Number(text) / 1e9,
  },
  {
    controller: '',
    type: 'cgroup2',
    file: 'cpu.stat',
    seconds: (text) => Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1e6,
  },
];

/** The directory of the control group of this process; undefined when the machine has none of this kind. */
function ownGroup({ controller, type }: Kind): string | undefined {
  try {
    const mount = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((row) => row.split(' '))
      .find(([, , kind, options]) => kind === type && (controller === '' || options?.split(',').includes(controller)));
    const group = readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .map((row) => row.split(':'))
      .find(([, names]) => names?.split(',').includes(controller));
    return mount?.[1] === undefined || group === undefined ? undefined : join(mount[1], group.slice(2).join(':'));
  } catch {
    return undefined;
  }
}

const prefix = 'cofferdam-bench-';

/** Removes the groups of measurements that were killed. */
function removeLeftovers(own: string): void {
  for (const name of readdirSync(own)) {
    const pid = name.startsWith(prefix) ? /^\d+/.exec(name.slice(prefix.length))?.[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeGroup(join(own, name));
  }
}

function removeGroup(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // Something in it outlived its program: the group that is left counts nothing for anybody.
  }
}

export class CpuMeter {
  /** The directory of the control group; undefined when there is none. */
  readonly #group: string | undefined;
  readonly #kind: Kind | undefined;
  /** The process that is measured: set as soon as it was started. */
  pid = 0;

  constructor(name: string) {
    for (const kind of kinds) {
      const own = ownGroup(kind);
      if (own === undefined) continue;
      const group = join(own, `${prefix}${process.pid}-${name}`);
      try {
        removeLeftovers(own);
        mkdirSync(group);
        if (!Number.isFinite(kind.seconds(readFileSync(join(group, kind.file), 'utf8')))) continue;
        this.#group = group;
        this.#kind = kind;
        return;
      } catch {
        // Not ours to make.
      }
    }
  }

  /** Says how it is measured, as the end of a sentence. */
  get words(): string {
    return this.#group === undefined
      ? 'by the times of the processes below it (this machine gives us no control group)'
      : `by a control group (\`${this.#kind?.file}\`)`;
  }

  /** The words before a command that start it within the control group, with the same process id. */
  get prefix(): readonly string[] {
    return this.#group === undefined ? [] : ['/bin/sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', this.#group];
  }

  /** The processor time so far, in seconds. */
  seconds(): number {
    if (this.#group === undefined || this.#kind === undefined) return cpuOfAll(this.pid);
    return this.#kind.seconds(readFileSync(join(this.#group, this.#kind.file), 'utf8'));
  }

  /** Removes the control group. To be called after everything in it is over. */
  remove(): void {
    if (this.#group !== undefined) removeGroup(this.#group);
  }
}
