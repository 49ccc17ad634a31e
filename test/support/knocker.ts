// Owns: connecting to a port again and again, and the longest time until the server sent its identification. Runs as a
// thread.
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { memoryOf } from './stall.ts';

const patienceMs = 20_000;
const { port, pid } = workerData as { readonly port: number; readonly pid: number };
let isOver = false;
parentPort?.once('message', () => (isOver = true));

function answerTime(): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (ms: number): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(ms);
    };
    const timer = setTimeout(() => finish(patienceMs), patienceMs);
    socket.once('data', () => finish(performance.now() - started));
    // The server is gone: the worst result of all.
    socket.once('error', () => finish(patienceMs));
  });
}

/** It is told when an attack is over; no attack is longer than this. */
const lastMs = performance.now() + 3_600_000;
let stallMs = 0;
let most = 0;
do {
  stallMs = Math.max(stallMs, await answerTime());
  most = Math.max(most, memoryOf(pid));
  await new Promise((resolve) => setTimeout(resolve, 20));
} while (!isOver && performance.now() < lastMs);
parentPort?.postMessage({ stallMs, most });
