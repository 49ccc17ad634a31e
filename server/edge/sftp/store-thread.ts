// Owns: the main thread's side of the store worker: requests, answers, and a bounded pool of buffers for segments.
import { Worker } from 'node:worker_threads';
import { detach } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Answer, Request, Sealing, ThreadData } from './store-worker.ts';

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: CofferdamError) => void };
/**
 * The largest number of bytes that are pooled for the next segments. Buffers are
 * pooled because the garbage collector lets 64 MiB of them accumulate before it runs.
 */
const pooledBytesMax = 16 * 2 ** 20;

export class StoreThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  /** Free buffers by their size. */
  readonly #pool = new Map<number, ArrayBuffer[]>();
  #pooledBytes = 0;
  #next = 0;
  #isOver = false;

  /** `storeSocket`: the path of the socket at which the store hears this edge. */
  constructor(storeSocket: string, log: Logger) {
    const workerData: ThreadData = { storeSocket };
    this.#worker = new Worker(new URL('./store-worker.ts', import.meta.url), { workerData });
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    const over = (error: unknown): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      log.fatal({ err: error }, 'the store thread ended');
      // Nothing can be read or written without this thread, so the process ends and the supervisor starts another one.
      process.exit(1);
    };
    this.#worker.on('error', over);
    this.#worker.on('exit', over);
    const told = this.ask<Sealing>({ op: 'sealing' }).then(({ isNative, text }) =>
      isNative ? log.info(text) : log.warn(text),
    );
    detach(told, (error) => log.error({ err: error }, 'the store thread does not say by what it seals'));
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (!answer.ok) {
      waiting?.reject(storeError(answer));
      return;
    }
    if (answer.buffer !== undefined) this.#keep(answer.buffer);
    waiting?.resolve(answer.value);
  }

  #keep(memory: ArrayBuffer): void {
    if (this.#pooledBytes + memory.byteLength > pooledBytesMax) return;
    this.#pooledBytes += memory.byteLength;
    const alike = this.#pool.get(memory.byteLength);
    if (alike === undefined) this.#pool.set(memory.byteLength, [memory]);
    else alike.push(memory);
  }

  /** Gives back a buffer that was taken and not sent to the thread. */
  giveBuffer(buffer: Buffer): void {
    this.#keep(buffer.buffer as ArrayBuffer);
  }

  /** Returns a buffer of `bytes` bytes, to be filled and sent with `upload.segment`, whose answer brings it back. */
  takeBuffer(bytes: number): Buffer {
    const pooled = this.#pool.get(bytes)?.pop();
    if (pooled === undefined) return Buffer.from(new ArrayBuffer(bytes));
    this.#pooledBytes -= bytes;
    return Buffer.from(pooled);
  }

  ask<T>(request: Request, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#isOver) return Promise.reject(new CofferdamError('unavailable', 'the server is stopping'));
    const id = this.#next;
    this.#next += 1;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#worker.postMessage({ id, request }, transfer as ArrayBuffer[]);
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#worker.terminate();
  }
}

function storeError({ code, text }: { readonly code: string; readonly text: string }): CofferdamError {
  const cause = new Error(text);
  if (code === 'over-limit' || code === 'conflict' || code === 'unavailable')
    return new CofferdamError(code, text, { cause });
  // A ticket that is refused, or a frame, means that warden and store do not agree.
  if (code === 'denied' || code === 'invalid')
    return new CofferdamError('unavailable', 'the store is not available at the moment; try again', { cause });
  if (code === 'corrupt' || code === 'ENOENT')
    return new CofferdamError('corrupt', 'stored data does not verify', { cause });
  return new CofferdamError('bug', 'internal error', { cause });
}
