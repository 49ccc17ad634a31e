// Owns: a file system that refuses: the calls of one process fail with a real error number, at the system call, for as
// long as a test wants. The product knows nothing of it: strace stands between the process and its kernel.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Where, and which calls. Other sockets never use these calls, or belong to another thread. */
const calls = {
  /** The thread of the edge that hashes, seals and reads extents, and sends them to the store. */
  'edge opens': { of: 'edge', calls: '?openat,?open' },
  'edge sends': { of: 'edge', calls: '?writev' },
  'edge reads': { of: 'edge', calls: '?pread64' },
  /** Every thread of the store. */
  'store opens': { of: 'store', calls: '?openat,?open' },
  'store writes': { of: 'store', calls: '?pwrite64' },
  'store syncs': { of: 'store', calls: '?fdatasync,?fsync' },
  'store names': { of: 'store', calls: '?link,?linkat' },
  'store deletes': { of: 'store', calls: '?unlink,?unlinkat' },
  /** Every thread of the warden: what it remembers and witnesses in files. */
  'warden opens': { of: 'warden', calls: '?openat,?open' },
  'warden syncs': { of: 'warden', calls: '?fdatasync,?fsync' },
} as const;
export type StoreFault = keyof typeof calls;
export const storeFaults = Object.keys(calls) as readonly StoreFault[];
export const storeErrors = ['EIO', 'ENOSPC', 'EROFS', 'EMFILE'] as const;
export type StoreError = (typeof storeErrors)[number];

const attachMs = 10_000;
const detachMs = 5000;

/** The one thread of an edge that touches files: Node names it after its kind. */
function storeThreadOf(pid: number): number {
  const found = readdirSync(`/proc/${pid}/task`).find((task) =>
    /WorkerThread/.test(readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8')),
  );
  if (found === undefined) throw new Error(`process ${pid} has no thread of its own for files`);
  return Number(found);
}

/** Resolves when the calls of this process fail. Returns a function that ends that. */
export async function refuseCalls(
  pids: { readonly edge: number; readonly store: number; readonly warden: number },
  fault: StoreFault,
  error: StoreError,
): Promise<() => Promise<void>> {
  const { of, calls: names } = calls[fault];
  const target = of === 'edge' ? ['-p', String(storeThreadOf(pids.edge))] : ['-f', '-p', String(pids[of])];
  const strace = spawn(
    'strace',
    ['-o', '/dev/null', '-e', `trace=${names}`, '-e', 'signal=none', '-e', `inject=${names}:error=${error}`, ...target],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  await attached(strace);
  return () => ended(strace);
}

function attached(strace: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => {
      strace.kill('SIGKILL');
      reject(new Error(`strace is not attached after ${attachMs} ms: ${said}`));
    }, attachMs);
    strace.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-2000);
      if (!/ attached/.test(said)) return;
      clearTimeout(timer);
      resolve();
    });
    strace.once('error', reject);
    strace.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`strace ended with ${code}: ${said}`));
    });
  });
}

function ended(strace: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    // It ends with the process that it holds, too.
    if (strace.exitCode !== null || strace.signalCode !== null) return resolve();
    const timer = setTimeout(() => strace.kill('SIGKILL'), detachMs);
    strace.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    strace.kill('SIGINT');
  });
}
