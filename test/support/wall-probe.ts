// Owns: what a test does as a system user of the wall, without Node's permission model. A process of its own becomes
// the user, with the groups that the machine gives it, and tries each thing by the plain system call. Run as `node
// wall-probe.ts`, with the attempts on standard input.
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { become } from './become.ts';
import { project, run } from './world.ts';

export type Try =
  | { readonly do: 'list' | 'read' | 'write' | 'overwrite' | 'delete' | 'chmod' | 'connect'; readonly path: string }
  | { readonly do: 'link' | 'symlink' | 'rename'; readonly path: string; readonly to: string }
  | { readonly do: 'signal' | 'memory'; readonly pid: number };
export type Tried = Try & { readonly outcome: string };

const tries: { readonly [K in Try['do']]: (one: Extract<Try, { do: K }>) => unknown } = {
  list: ({ path }) => readdirSync(path),
  read: ({ path }) => readFileSync(path),
  /** In a directory, a file and a directory; both are gone afterwards. */
  write: ({ path }) => {
    const name = join(path, `probe-${process.pid}`);
    writeFileSync(name, 'x', { flag: 'wx' });
    rmSync(name);
    mkdirSync(name);
    rmdirSync(name);
  },
  overwrite: ({ path }) => closeSync(openSync(path, 'r+')),
  delete: ({ path }) => rmSync(path),
  chmod: ({ path }) => chmodSync(path, 0o777),
  connect: () => undefined,
  link: ({ path, to }) => linkSync(path, to),
  symlink: ({ path, to }) => symlinkSync(path, to),
  rename: ({ path, to }) => renameSync(path, to),
  signal: ({ pid }) => process.kill(pid, 0),
  memory: ({ pid }) => readFileSync(`/proc/${pid}/environ`),
};

/** Neither refused nor accepted: this counts as reached. */
const silentMs = 20_000;

function reach(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
    socket.setTimeout(silentMs, () => {
      socket.destroy();
      resolve();
    });
  });
}

async function attempt(one: Try): Promise<Tried> {
  try {
    if (one.do === 'connect') await reach(one.path);
    else (tries[one.do] as (given: Try) => unknown)(one);
    return { ...one, outcome: 'possible' };
  } catch (error) {
    return {
      ...one,
      outcome: `refused ${error instanceof Error && 'code' in error ? String(error.code) : String(error)}`,
    };
  }
}

/** Tries everything as this user, one after the other. Only root can do that. */
export async function tryAs(user: string, what: readonly Try[]): Promise<readonly Tried[]> {
  const done = await run(process.execPath, [join(project, 'test', 'support', 'wall-probe.ts')], {
    input: JSON.stringify({ user, what }),
    timeoutMs: 60_000,
  });
  if (done.code !== 0) throw new Error(`the probe as ${user} ended with ${done.code}: ${done.err}`);
  return JSON.parse(done.out) as readonly Tried[];
}

if (process.argv[1]?.endsWith('wall-probe.ts') === true) {
  const { user, what } = JSON.parse(readFileSync(0, 'utf8')) as { user: string; what: readonly Try[] };
  become(user);
  const seen: Tried[] = [];
  for (const one of what) seen.push(await attempt(one));
  process.stdout.write(JSON.stringify(seen));
}
