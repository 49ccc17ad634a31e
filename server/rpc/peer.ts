// Owns: one end of an rpc stream: outgoing and incoming calls, both with bounds, over any duplex stream (Unix socket,
// TLS).
// Must never: trust the other side. A call gets its place before its parameters are
// read, and the parameters are validated before a handler sees them. A peer that breaks
// a rule is disconnected, and so is one that sends messages of a wrong form too often.
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { detach, unexpected } from '../domain/detached.ts';
import { CofferdamError, type ErrorCode, errorCodes, toCofferdamError } from '../domain/errors.ts';
import type { Door } from './door.ts';
import { encodeFrame, FrameReader } from './framing.ts';
import type { Handlers, OperationTable, Params, Result } from './operation.ts';
import { requireForm, WrongForm } from './wrong-form.ts';

type PeerLimits = {
  /** The number of calls of the other side that may run at once. Reading pauses at this number. */
  readonly inboundCallsMax: number;
  /** The number of our calls that may wait for an answer. One more is refused at once. */
  readonly outboundCallsMax: number;
  /** The number of bytes in our write buffer above which the other side counts as not reading, and is disconnected. */
  readonly writeBufferBytesMax: number;
  readonly callTimeoutMs: number;
};
export const peerLimits: PeerLimits = {
  inboundCallsMax: 256,
  outboundCallsMax: 4096,
  writeBufferBytesMax: 16 * 1024 * 1024,
  callTimeoutMs: 30_000,
};
/** A call was sent, and nothing is known about what became of it. */
export class NoAnswer extends CofferdamError {}

/** How long a peer that asked for more than its places is not read, in milliseconds. */
const refusedPauseMs = 100;
/** How long a connection that we end stays open at most, so that the peer is told why; milliseconds. */
const partingMs = 1000;

const message = z.union([
  z.strictObject({ id: z.number().int().min(0), op: z.string().max(64), params: z.unknown() }),
  z.strictObject({ id: z.number().int().min(0), result: z.unknown() }),
  z.strictObject({
    id: z.number().int().min(0),
    error: z.strictObject({ code: z.string().max(32), message: z.string().max(1024) }),
  }),
]);

type Answer = {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
};
type Waiting = {
  readonly op: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CofferdamError) => void;
  readonly timer: NodeJS.Timeout;
};

type PeerOptions<In extends OperationTable, Out extends OperationTable, Caller> = {
  readonly stream: Duplex;
  readonly serves: In;
  readonly handlers: Handlers<In, Caller>;
  readonly calls: Out;
  /** Every call of the other side passes through this door. */
  readonly door: Door<Caller>;
  readonly limits?: PeerLimits;
  /** Called once, with the reason, when the stream has ended. By then every waiting call was rejected. */
  readonly onClose: (reason: CofferdamError) => void;
  /** Called when a handler threw something that is not a CofferdamError, or a CofferdamError with the code `bug`. */
  readonly onBug: (op: string, error: unknown) => void;
};

/**
 * One end of an rpc stream. `call` resolves with a validated result, or rejects
 * with a CofferdamError. After `close` every call rejects with `unavailable`.
 */
export class Peer<In extends OperationTable, Out extends OperationTable, Caller> {
  readonly #options: PeerOptions<In, Out, Caller>;
  readonly #limits: PeerLimits;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<number, Waiting>();
  /** The ids of our calls that nobody waits for any more, and whose answers may still come. */
  readonly #late = new Set<number>();
  #nextId = 0;
  #running = 0;
  #isResting = false;
  #isParting = false;
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
    if (this.#closed || this.#isParting) return Promise.reject(new CofferdamError('unavailable', 'rpc peer is gone'));
    if (this.#waiting.size >= this.#limits.outboundCallsMax)
      return Promise.reject(new CofferdamError('unavailable', 'too many calls are waiting'));
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) % Number.MAX_SAFE_INTEGER;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        this.#isLate(id);
        reject(new NoAnswer('unavailable', 'no answer in time'));
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
      waiting.reject(new NoAnswer('unavailable', reason.message));
    }
    this.#waiting.clear();
    this.#late.clear();
    this.#options.onClose(reason);
  }

  /**
   * Resolves when the calls of the other side are answered and the answers
   * are written, or after `withinMs` milliseconds. Then the stream is closed.
   */
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
    if (stream.writableLength > this.#limits.writeBufferBytesMax)
      this.close(new CofferdamError('unavailable', 'rpc peer does not read'));
  }

  /** Sends an answer. An answer that is larger than a frame becomes a refusal; the connection stays open. */
  #sendAnswer(content: Answer): void {
    try {
      this.#send(content);
    } catch (error) {
      if (!(error instanceof CofferdamError) || error.code !== 'invalid') throw error;
      this.#send({ id: content.id, error: { code: 'over-limit', message: 'the answer is too long: ask for less' } });
    }
  }

  /** Ends the stream after the peer was told why. Messages that the peer sent later are not looked at. */
  #part(reason: CofferdamError, content?: Answer): void {
    if (this.#closed || this.#isParting) return;
    this.#isParting = true;
    this.#flow();
    const { stream } = this.#options;
    if (content !== undefined) this.#send(content);
    stream.end(() => this.close(reason));
    setTimeout(() => this.close(reason), partingMs).unref();
  }

  get #isHeld(): boolean {
    return this.#closed || this.#isParting || this.#isResting || this.#running >= this.#limits.inboundCallsMax;
  }

  /**
   * Reads on, message by message, until as many calls are running as may
   * run, or until the other side has asked for more than it may have.
   */
  #flow(): void {
    const { stream } = this.#options;
    try {
      while (!this.#isHeld) {
        const next = this.#reader.next();
        if (next === undefined) break;
        this.#dispatch(next.message);
      }
    } catch (error) {
      this.close(toCofferdamError(error));
    }
    if (this.#isHeld) stream.pause();
    else stream.resume();
  }

  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#flow();
    setTimeout(() => {
      this.#isResting = false;
      if (!this.#closed) this.#flow();
    }, refusedPauseMs).unref();
  }

  #isLate(id: number): void {
    this.#late.add(id);
    const [oldest] = this.#late.size > this.#limits.outboundCallsMax ? this.#late : [];
    if (oldest !== undefined) this.#late.delete(oldest);
  }

  #receive(chunk: Buffer): void {
    if (this.#closed || this.#isParting) return;
    this.#reader.add(chunk);
    this.#flow();
  }

  #dispatch(raw: unknown): void {
    const parsed = message.safeParse(raw);
    if (!parsed.success) throw new CofferdamError('invalid', 'rpc message has the wrong form');
    if ('op' in parsed.data) {
      this.#serve(parsed.data.id, parsed.data.op, parsed.data.params);
      return;
    }
    const waiting = this.#waiting.get(parsed.data.id);
    if (waiting === undefined) {
      if (!this.#late.delete(parsed.data.id) && !this.#options.door.mayErr('answers to unknown calls, of a wrong form'))
        this.#part(new CofferdamError('invalid', 'too many answers to unknown calls'));
      return;
    }
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
    const { serves, handlers, door, onBug } = this.#options;
    const row = Object.hasOwn(serves, op) ? serves[op] : undefined;
    if (row === undefined) throw new CofferdamError('invalid', 'rpc operation is not in the table');
    this.#running += 1;
    const handler = handlers[op as keyof In];
    let isInside = false;
    const serve = async (caller: Caller): Promise<unknown> => {
      isInside = true;
      return handler(this.#read(id, op, row.params, rawParams) as never, caller);
    };
    detach(
      Promise.resolve()
        .then(() => door.within({ op, params: rawParams }, serve))
        .then(
          (result) => this.#answer({ id, result }),
          (thrown: unknown) => {
            const error = toCofferdamError(thrown);
            if (error.code === 'bug') onBug(op, thrown);
            if (!isInside) this.#rest();
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

  /**
   * Parses the parameters of a call. A peer that has sent too many messages
   * of a wrong form is disconnected before its next call is handled.
   */
  #read(id: number, op: string, schema: z.ZodType, rawParams: unknown): unknown {
    try {
      return requireForm(schema, rawParams);
    } catch (error) {
      if (error instanceof WrongForm && !this.#options.door.mayErr(`${op}: ${error.message}`)) {
        const text = `too many messages of a wrong form in a minute: this connection ends. The last one: ${error.message}`;
        this.#part(new CofferdamError('invalid', text), { id, error: { code: 'over-limit', message: text } });
      }
      throw error;
    }
  }

  #answer(content: Answer): void {
    this.#running -= 1;
    if (this.#closed || this.#isParting) return;
    this.#sendAnswer(content);
    if (this.#running === 0) this.#onAnswered?.();
    this.#flow();
  }
}
