// Owns: what an attack does to others: the longest wait for an answer to a new connection, and the memory of the
// process.
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { bounded } from '../../server/domain/bounded.ts';

/** It connects once more, with a time limit of its own. */
const lastWordMs = 120_000;

export type Harm = { readonly stallMs: number; readonly grownBytes: number; readonly result: boolean | 'failed' };

export function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/**
 * Runs an attack while a stranger connects every 20 ms, from a thread of its own: the attacker's own work must not look
 * like a stall.
 */
export async function harmOf(port: number, pid: number, attack: () => Promise<boolean>): Promise<Harm> {
  const before = memoryOf(pid);
  const knocker = new Worker(new URL('./knocker.ts', import.meta.url), { workerData: { port, pid } });
  let fault: Error | undefined;
  knocker.on('error', (error: Error) => (fault = error));
  const result = await attack().catch(() => 'failed' as const);
  if (fault !== undefined) throw fault;
  const { stallMs, most } = await bounded(
    lastWordMs,
    'the last word of who knocked during an attack',
    new Promise<{ stallMs: number; most: number }>((resolve, reject) => {
      knocker.once('message', resolve);
      knocker.once('error', reject);
      knocker.postMessage('over');
    }),
  );
  await knocker.terminate();
  return { stallMs: Math.round(stallMs), grownBytes: Math.max(most, memoryOf(pid)) - before, result };
}

/** The most memory that was resident since the process began, in bytes. */
export function peakMemoryOf(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}
