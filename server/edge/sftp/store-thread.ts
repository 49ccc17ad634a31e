// Owns: the main thread's side of the store worker: requests, answers, a bounded pool of segment buffers.
import { Worker } from 'node:worker_threads';
import { CofferdamError } from '../../domain/errors.ts';
import { segmentBytes } from '../../extents/sealed-format.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Answer, Request } from './store-worker.ts';

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: CofferdamError) => void };
const pooledMax = 64;

export class StoreThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pool: ArrayBuffer[] = [];
  #next = 0;
  #isOver = false;

  constructor(log: Logger) {
    this.#worker = new Worker(new URL('./store-worker.ts', import.meta.url));
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    const over = (error: unknown): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      log.fatal({ err: error }, 'the store thread ended');
      // Nothing can be read or written without it: the supervisor starts a fresh process.
      process.exit(1);
    };
    this.#worker.on('error', over);
    this.#worker.on('exit', over);
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (!answer.ok) {
      waiting?.reject(storeError(answer));
      return;
    }
    if (answer.buffer !== undefined && this.#pool.length < pooledMax && answer.buffer.byteLength === segmentBytes)
      this.#pool.push(answer.buffer);
    waiting?.resolve(answer.value);
  }

  /** A buffer of one segment, to be filled and given to `upload.segment`, which brings it back. */
  takeBuffer(): Buffer {
    return Buffer.from(this.#pool.pop() ?? new ArrayBuffer(segmentBytes));
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
  if (code === 'ENOSPC' || code === 'EDQUOT') return new CofferdamError('over-limit', 'no space for new files at the moment', { cause });
  if (code === 'corrupt' || code === 'ENOENT') return new CofferdamError('corrupt', 'stored data does not verify', { cause });
  return new CofferdamError('bug', 'internal error', { cause });
}
