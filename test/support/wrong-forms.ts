// Owns: a flood of one frame over raw connections, as fast as the other side reads it, with a new connection whenever
// the last one was ended.
import type { Duplex } from 'node:stream';
import { bounded } from '../../server/domain/bounded.ts';
import { encodeFrame, FrameReader } from '../../server/rpc/framing.ts';

export type Flood = {
  /** How many connections were opened, and how many of them the other side ended. */
  readonly connections: number;
  readonly ended: number;
  readonly answers: number;
  /** The texts of the answers, each once. */
  readonly words: readonly string[];
};

const burstBytes = 16_000;
const waitingBytesMax = 200_000;
const againMs = 50;
const openMs = 60_000;

/** Sends `message` for this long; `greeting` is sent first on each connection. */
export async function flood(
  open: () => { readonly stream: Duplex; readonly ready: Promise<unknown> },
  message: unknown,
  forMs: number,
  greeting?: unknown,
): Promise<Flood> {
  const frame = encodeFrame(message);
  const burst = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(burstBytes / frame.length)) }, () => frame));
  const words = new Set<string>();
  const seen = { connections: 0, ended: 0, answers: 0 };
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    seen.connections += 1;
    const { stream, ready } = open();
    const reader = new FrameReader();
    let isOver = false;
    stream.on('error', () => {});
    stream.once('close', () => (isOver = true));
    stream.on('data', (chunk: Buffer) => {
      for (const raw of reader.push(chunk)) {
        const { error, result } = raw as {
          readonly error?: { readonly code: string; readonly message: string };
          readonly result?: unknown;
        };
        if (error === undefined && result === undefined) continue;
        seen.answers += error === undefined ? 0 : 1;
        if (error !== undefined && words.size < 20) words.add(`${error.code}: ${error.message}`);
      }
    });
    await bounded(
      openMs,
      'a connection to flood',
      Promise.race([ready, new Promise((resolve) => stream.once('close', resolve))]),
    );
    if (greeting !== undefined && !isOver) stream.write(encodeFrame(greeting));
    while (!isOver && performance.now() < end) {
      if (stream.writable && stream.writableLength < waitingBytesMax) stream.write(burst);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (isOver) seen.ended += 1;
    stream.destroy();
    if (!isOver)
      await bounded(
        openMs,
        'the end of a stream that was destroyed',
        new Promise((resolve) => stream.once('close', resolve)),
      );
    await new Promise((resolve) => setTimeout(resolve, againMs));
  }
  return { ...seen, words: [...words] };
}

const many = { total: 1_000_000, each: 900_000, reserve: 1000 };
/** No connection is ended because of malformed calls: a test sends all of them. */
export const wideFaultsEnv = {
  COFFERDAM_SHARES: JSON.stringify({ warden: { faults: many }, admin: { faults: many } }),
};
