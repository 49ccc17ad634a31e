// Owns: what an attack does to others: the longest wait for an answer to a new connection, and the memory of the process.
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

export type Harm = { readonly stallMs: number; readonly grownBytes: number; readonly result: boolean | 'failed' };

export function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Runs an attack while a stranger knocks every 20 ms, from a thread of its own: the attacker's own work must not look like a stall. */
export async function harmOf(port: number, pid: number, attack: () => Promise<boolean>): Promise<Harm> {
  const before = memoryOf(pid);
  const knocker = new Worker(new URL('./knocker.ts', import.meta.url), { workerData: { port, pid } });
  const ended = new Promise<{ stallMs: number; most: number }>((resolve, reject) => {
    knocker.once('message', resolve);
    knocker.once('error', reject);
  });
  const result = await attack().catch(() => 'failed' as const);
  knocker.postMessage('over');
  const { stallMs, most } = await ended;
  await knocker.terminate();
  return { stallMs: Math.round(stallMs), grownBytes: Math.max(most, memoryOf(pid)) - before, result };
}

/** The most that was resident since the process began, bytes. */
export function peakMemoryOf(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}
