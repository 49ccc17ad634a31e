// Owns: one end of an rpc stream: calls out, calls in, both with bounds, over any duplex (unix socket, TLS).
// Must never: trust the other side. What arrives is validated before a handler sees it; a peer that breaks a rule is cut off.
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { detach, unexpected } from '../domain/detached.ts';
import { CofferdamError, type ErrorCode, errorCodes, toCofferdamError } from '../domain/errors.ts';
import { encodeFrame, FrameReader } from './framing.ts';
import type { Handlers, OperationTable, Params, Result } from './operation.ts';

export type PeerLimits = {
  /** Calls of the other side that may run at once; reading pauses at this number. */
  readonly inboundCallsMax: number;
  /** Calls of our side that may wait for an answer; one more is refused at once. */
  readonly outboundCallsMax: number;
  /** Bytes waiting in our write buffer after which the peer counts as not reading and is cut off. */
  readonly writeBufferBytesMax: number;
  readonly callTimeoutMs: number;
};
export const peerLimits: PeerLimits = {
  inboundCallsMax: 256,
  outboundCallsMax: 4096,
  writeBufferBytesMax: 16 * 1024 * 1024,
  callTimeoutMs: 30_000,
};

const message = z.union([
  z.strictObject({ id: z.number().int().min(0), op: z.string().max(64), params: z.unknown() }),
  z.strictObject({ id: z.number().int().min(0), result: z.unknown() }),
  z.strictObject({ id: z.number().int().min(0), error: z.strictObject({ code: z.string().max(32), message: z.string().max(1024) }) }),
]);

type Answer = { readonly id: number; readonly result?: unknown; readonly error?: { readonly code: string; readonly message: string } };
type Waiting = {
  readonly op: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CofferdamError) => void;
  readonly timer: NodeJS.Timeout;
};

export type PeerOptions<In extends OperationTable, Out extends OperationTable, Caller> = {
  readonly stream: Duplex;
  readonly serves: In;
  readonly handlers: Handlers<In, Caller>;
  readonly calls: Out;
  readonly caller: Caller;
  readonly limits?: PeerLimits;
  /** Called once, with the reason, when the stream is over; every waiting call has been refused by then. */
  readonly onClose: (reason: CofferdamError) => void;
  /** A handler threw something that is not a CofferdamError. */
  readonly onBug: (op: string, error: unknown) => void;
};

/** One end of an rpc stream. `call` resolves with a validated result or rejects with a CofferdamError; after `close` everything rejects with `unavailable`. */
export class Peer<In extends OperationTable, Out extends OperationTable, Caller> {
  readonly #options: PeerOptions<In, Out, Caller>;
  readonly #limits: PeerLimits;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #running = 0;
  #closed = false;
  #onAnswered: (() => void) | undefined;

  constructor(options: PeerOptions<In, Out, Caller>) {
    this.#options = options;
    this.#limits = options.limits ?? peerLimits;
    const { stream } = options;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', (error) => this.close(new CofferdamError('unavailable', 'rpc stream failed', { cause: error })));
    stream.on('close', () => this.close(new CofferdamError('unavailable', 'rpc peer is gone')));
    stream.on('end', () => this.close(new CofferdamError('unavailable', 'rpc peer is gone')));
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  call<K extends keyof Out & string>(op: K, params: Params<Out, K>): Promise<Result<Out, K>> {
    if (this.#closed) return Promise.reject(new CofferdamError('unavailable', 'rpc peer is gone'));
    if (this.#waiting.size >= this.#limits.outboundCallsMax)
      return Promise.reject(new CofferdamError('unavailable', 'too many calls are waiting'));
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) % Number.MAX_SAFE_INTEGER;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new CofferdamError('unavailable', 'no answer in time'));
      }, this.#limits.callTimeoutMs);
      this.#waiting.set(id, { op, resolve, reject, timer });
      try {
        this.#send({ id, op, params });
      } catch (error) {
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(toCofferdamError(error));
      }
    }) as Promise<Result<Out, K>>;
  }

  close(reason: CofferdamError = new CofferdamError('unavailable', 'rpc closed')): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.stream.destroy();
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new CofferdamError('unavailable', reason.message));
    }
    this.#waiting.clear();
    this.#options.onClose(reason);
  }

  /** Resolves when what the other side asked is answered and the answers are written, or `withinMs` are over; then the stream is closed. */
  async finish(withinMs: number): Promise<void> {
    const { stream } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const written = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
      stream.once('close', resolve);
      this.#onAnswered = () => void stream.end(resolve);
      if (this.#running === 0) this.#onAnswered();
    });
    await written;
    clearTimeout(timer);
    this.close();
  }

  #send(content: unknown): void {
    const { stream } = this.#options;
    stream.write(encodeFrame(content));
    if (stream.writableLength > this.#limits.writeBufferBytesMax) this.close(new CofferdamError('unavailable', 'rpc peer does not read'));
  }

  /** An answer that no frame holds is a refusal, not the end of the connection. */
  #sendAnswer(content: Answer): void {
    try {
      this.#send(content);
    } catch (error) {
      if (!(error instanceof CofferdamError) || error.code !== 'invalid') throw error;
      this.#send({ id: content.id, error: { code: 'over-limit', message: 'the answer is too long: ask for less' } });
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      for (const raw of this.#reader.push(chunk)) this.#dispatch(raw);
    } catch (error) {
      this.close(toCofferdamError(error));
    }
  }

  #dispatch(raw: unknown): void {
    if (this.#closed) return;
    const parsed = message.safeParse(raw);
    if (!parsed.success) throw new CofferdamError('invalid', 'rpc message has the wrong form');
    if ('op' in parsed.data) {
      this.#serve(parsed.data.id, parsed.data.op, parsed.data.params);
      return;
    }
    const waiting = this.#waiting.get(parsed.data.id);
    if (waiting === undefined) return;
    this.#waiting.delete(parsed.data.id);
    clearTimeout(waiting.timer);
    if ('error' in parsed.data) {
      const code = parsed.data.error.code in errorCodes ? (parsed.data.error.code as ErrorCode) : 'bug';
      waiting.reject(new CofferdamError(code, parsed.data.error.message));
      return;
    }
    const row = this.#options.calls[waiting.op];
    const result = row?.result.safeParse(parsed.data.result);
    if (result?.success) waiting.resolve(result.data);
    else {
      waiting.reject(new CofferdamError('bug', 'rpc answer has the wrong form'));
      throw new CofferdamError('invalid', `rpc answer to ${waiting.op} has the wrong form`);
    }
  }

  #serve(id: number, op: string, rawParams: unknown): void {
    const { serves, handlers, caller, onBug, stream } = this.#options;
    const row = Object.hasOwn(serves, op) ? serves[op] : undefined;
    if (row === undefined) throw new CofferdamError('invalid', 'rpc operation is not in the table');
    const params = row.params.safeParse(rawParams);
    if (!params.success) {
      this.#send({ id, error: { code: 'invalid', message: 'parameters have the wrong form' } });
      return;
    }
    this.#running += 1;
    if (this.#running >= this.#limits.inboundCallsMax) stream.pause();
    const handler = handlers[op as keyof In];
    detach(
      Promise.resolve()
        .then(() => handler(params.data as never, caller))
        .then(
          (result) => this.#answer({ id, result }),
          (thrown: unknown) => {
            const error = toCofferdamError(thrown);
            if (error.code === 'bug') onBug(op, thrown);
            this.#answer({ id, error: { code: error.code, message: error.message.slice(0, 1024) } });
          },
        )
        .catch((thrown: unknown) => {
          onBug(op, thrown);
          this.close(toCofferdamError(thrown));
        }),
      unexpected,
    );
  }

  #answer(content: Answer): void {
    this.#running -= 1;
    if (this.#closed) return;
    this.#sendAnswer(content);
    if (this.#running === 0) this.#onAnswered?.();
    if (this.#running < this.#limits.inboundCallsMax) this.#options.stream.resume();
  }
}
