// Owns: a client of the store's socket of one node, as code inside an edge has it: honest puts, and every frame that no
// honest edge sends.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  bodyBytesMax,
  edgeFrames,
  type Failure,
  FrameCutter,
  failures,
  frameHead,
  storeFrames,
} from '../../server/rpc/store-frames.ts';

/** What the store says of an object, in base64 as an edge passes it on. */
export type Said = { readonly digest: string; readonly acknowledgement: string };
export type StoreAnswer =
  | { readonly kind: 'durable'; readonly bytes: number; readonly durable: Said }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** The store ended the connection, or had ended it before. */
  | { readonly kind: 'gone' };

const gone: StoreAnswer = { kind: 'gone' };
const nothing = Buffer.alloc(0);

function answerOf(type: number, body: Buffer): StoreAnswer {
  if (type === storeFrames.failed) return { kind: 'failed', failure: failures[body.readUInt8(0)] ?? 'unavailable' };
  return {
    kind: 'durable',
    bytes: body.readUInt32BE(0),
    durable: { digest: body.toString('base64', 4, 36), acknowledgement: body.toString('base64', 36) },
  };
}

export class StoreClient {
  readonly #socket: Socket;
  readonly #answers = new Map<number, StoreAnswer>();
  readonly #waiting = new Map<number, (answer: StoreAnswer) => void>();
  readonly #gone: Promise<void>;
  #next = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const cutter = new FrameCutter({
      room: ({ length }) => Buffer.alloc(length),
      take: ({ type, put }, body) => this.#hear(put, answerOf(type, body)),
    });
    socket.on('data', (chunk: Buffer) => cutter.push(chunk));
    // The store may cut us off in the middle of a frame.
    socket.on('error', () => {});
    this.#gone = new Promise((resolve) =>
      socket.on('close', () => {
        for (const resolveOne of this.#waiting.values()) resolveOne(gone);
        this.#waiting.clear();
        resolve();
      }),
    );
  }

  static async connect(path: string): Promise<StoreClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new StoreClient(socket);
  }

  #hear(put: number, answer: StoreAnswer): void {
    const resolve = this.#waiting.get(put);
    this.#waiting.delete(put);
    if (resolve === undefined) this.#answers.set(put, answer);
    else resolve(answer);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.readyState === 'open';
  }

  /** Resolves when the store has ended the connection. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  /** How many answers nobody has asked for. */
  get unread(): number {
    return this.#answers.size;
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends a frame, whatever it is. `length` is what its head says. */
  frame(type: number, put: number, body: Uint8Array = nothing, length = body.length): void {
    this.raw(Buffer.concat([frameHead(type, put, length), body]));
  }

  /** Returns a number that no put of this connection has had. */
  number(): number {
    this.#next += 1;
    return this.#next;
  }

  /** Begins a put, and returns its number. */
  begin(ticket: string): number {
    const put = this.number();
    this.frame(edgeFrames.begin, put, Buffer.from(ticket, 'base64'));
    return put;
  }

  /** Sends bytes in pieces as long as they may be. */
  pieces(put: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += bodyBytesMax)
      this.frame(edgeFrames.piece, put, bytes.subarray(at, at + bodyBytesMax));
  }

  end(put: number): void {
    this.frame(edgeFrames.end, put);
  }

  abort(put: number): void {
    this.frame(edgeFrames.abort, put);
  }

  /** Returns the next answer about a put. */
  answer(put: number): Promise<StoreAnswer> {
    const known = this.#answers.get(put);
    this.#answers.delete(put);
    if (known !== undefined) return Promise.resolve(known);
    if (this.#socket.destroyed) return Promise.resolve(gone);
    return new Promise((resolve) => this.#waiting.set(put, resolve));
  }

  /** Puts one object, as an honest edge does. */
  async put(ticket: string, sealed: Uint8Array): Promise<StoreAnswer> {
    const put = this.begin(ticket);
    this.pieces(put, sealed);
    this.end(put);
    return this.answer(put);
  }

  /** Resolves when the kernel has taken what was sent, or the connection has ended. */
  async drained(): Promise<void> {
    if (this.#socket.writableLength === 0) return;
    await Promise.race([this.#gone, new Promise((resolve) => this.#socket.once('drain', resolve))]);
  }

  /** Reads nothing from now on. */
  deafen(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** What the store said of an object that must have become durable. */
export function durableOf(answer: StoreAnswer): Said {
  if (answer.kind !== 'durable') throw new Error(`nothing was stored: ${JSON.stringify(answer)}`);
  return answer.durable;
}
