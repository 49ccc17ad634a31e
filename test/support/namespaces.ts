// Owns: two hosts on one machine: network namespaces with a cable between them, and a gateway from a configuration file
// in one of them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bounded } from '../../server/domain/bounded.ts';
import type { Teardown } from './database.ts';
import { type Done, project, run } from './world.ts';

export const gatewayAddresses = { four: '198.51.100.1', six: '2001:db8:c0ff::1' } as const;
const outsideAddresses = { four: '198.51.100.2', six: '2001:db8:c0ff::2' } as const;
/** Longer than a gateway takes to start, or to stop. */
const stopMs = 180_000;
const prefix = 'cofferdam-test';

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

/** Why hosts cannot be made here; undefined when they can. */
export function whyNoNamespaces(): string | undefined {
  const name = `${prefix}-${process.pid}-try`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made (apt-get install iproute2?): ${error instanceof Error ? error.message.trim() : 'unknown error'}`;
  }
}

/** What a killed test left behind: its process id is in the name. */
function sweep(): void {
  const directory = '/run/netns';
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const pid = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) ip('netns', 'del', name);
  }
}

export class Host {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs a program on this host to its end. */
  run(program: string, args: readonly string[], timeoutMs = 60_000): Promise<Done> {
    return run('ip', ['netns', 'exec', this.name, program, ...args], { timeoutMs });
  }

  /** Starts a program and waits for `word` on its standard output. Its process id is that of the program. */
  start(
    t: Teardown,
    program: string,
    args: readonly string[],
    options: { readonly word: string; readonly env?: Record<string, string | undefined> },
  ): Promise<ChildProcess> {
    const child = spawn('ip', ['netns', 'exec', this.name, program, ...args], {
      cwd: project,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let isGone = false;
    child.once('close', () => (isGone = true));
    t.teardown(async () => {
      if (isGone) return;
      child.kill('SIGTERM');
      await bounded(
        stopMs,
        `the end of ${program} on ${this.name}`,
        new Promise((resolve) => child.once('close', resolve)),
      );
    });
    let said = '';
    const begun = new Promise<ChildProcess>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`${program} ended with ${code}: ${said.slice(-3000)}`)));
      const hear = (chunk: Buffer): void => {
        said += chunk.toString('utf8');
        if (said.includes(options.word)) resolve(child);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
    });
    return bounded(stopMs, `"${options.word}" from ${program} on ${this.name}`, begun);
  }
}

/**
 * A host for the gateway and one outside it, with IPv4 and IPv6 between them. Both are removed at the end, with the
 * cable.
 */
export function createHosts(t: Teardown): { readonly gateway: Host; readonly outside: Host } {
  sweep();
  const [inner, outer] = ['in', 'out'].map((side) => `${prefix}-${process.pid}-${side}`) as [string, string];
  const sides = [
    { name: inner, link: 'cable0', ...gatewayAddresses },
    { name: outer, link: 'cable0', ...outsideAddresses },
  ];
  for (const { name } of sides) {
    ip('netns', 'add', name);
    t.teardown(() => ip('netns', 'del', name));
  }
  ip('link', 'add', 'cable0', 'netns', inner, 'type', 'veth', 'peer', 'name', 'cable0', 'netns', outer);
  for (const { name, link, four, six } of sides) {
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'address', 'add', `${four}/24`, 'dev', link);
    // Without duplicate address detection, which would keep the address from being bound at first.
    ip('-n', name, 'address', 'add', `${six}/64`, 'dev', link, 'nodad');
    ip('-n', name, 'link', 'set', link, 'up');
  }
  return { gateway: new Host(inner), outside: new Host(outer) };
}

/** `cofferdam up --config FILE` on this host. Resolves when everything serves. */
export function startGateway(t: Teardown, host: Host, file: string): Promise<ChildProcess> {
  return host.start(t, process.execPath, [join(project, 'server', 'main.ts'), 'up', '--config', file], {
    word: 'Cofferdam serves.',
    env: { DATABASE_URL: undefined },
  });
}
