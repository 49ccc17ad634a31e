// Owns: the connection of an edge to the store, in the thread that seals: one for all objects that are being put.
// Must never: take an object for durable before the store has said so, or send anything but ciphertext.
import { connect, type Socket } from 'node:net';
import { bounded } from '../../domain/bounded.ts';
import { detach, givenUp, held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import {
  bodyBytesMax,
  durableBytes,
  edgeFrames,
  type Failure,
  FrameCutter,
  failures,
  frameHead,
  type Head,
  storeFrames,
} from '../../rpc/store-frames.ts';

/** What the store said of an object that it has made durable. */
type Acknowledged = {
  readonly sealedBytes: number;
  /** 32 bytes each (`extents/object-tickets.ts`). */
  readonly digest: Uint8Array;
  readonly acknowledgement: Uint8Array;
};
/** One object that is being put. After anything was rejected, the object is not stored. */
export type Put = {
  /**
   * Sends the next piece of the object: one sealed segment, the first with the header before it. Resolves when its
   * memory is used no longer.
   */
  write(parts: readonly Uint8Array[]): Promise<void>;
  /** Resolves when the whole object is durable. */
  end(): Promise<Acknowledged>;
  /** Gives the object up. */
  abort(): void;
};

/** How long a put waits for a store that is away, in milliseconds. */
const patienceMs = 5000;
const pauseMs = 100;
/** How long the store may take to make an object durable, in milliseconds. */
const answerMs = 60_000;

const texts: Readonly<Record<Failure, string>> = {
  denied: 'the store refused the ticket of an extent',
  'over-limit': 'no space for new files at the moment',
  conflict: 'this object is already stored; send the file again',
  unavailable: 'the store is not available at the moment; try again',
  invalid: 'the store refused an extent',
};
const failed = (failure: Failure): CofferdamError => new CofferdamError(failure, texts[failure]);

type Waiting = {
  readonly resolve: (acknowledged: Acknowledged) => void;
  readonly reject: (error: CofferdamError) => void;
};
type Connection = { readonly socket: Socket; readonly waiting: Map<number, Waiting> };

export class StoreLink {
  readonly #path: string;
  #connection: Promise<Connection> | undefined;
  #next = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Begins to put an object. `ticket` says which (58 bytes). */
  put(ticket: Uint8Array): Put {
    const number = this.#next;
    this.#next = (this.#next + 1) % 2 ** 32;
    const connecting = held(this.#connected());
    const answer = held(connecting.then((connection) => this.#begin(connection, number, ticket)));
    let isEnded = false;
    // Whatever is written waits for the begin, which was asked for first on the same connection.
    const send = async (frame: number, parts: readonly Uint8Array[]): Promise<void> => {
      const { socket, waiting } = await connecting;
      if (!waiting.has(number)) {
        await answer;
        return;
      }
      await write(socket, frame, number, parts);
    };
    return {
      write: (parts) => send(edgeFrames.piece, parts),
      end: async () => {
        await send(edgeFrames.end, []);
        isEnded = true;
        return within(answer);
      },
      // Also after a failure: the store keeps the number of a put that failed until the edge has ended it.
      abort: () => {
        if (isEnded) return;
        isEnded = true;
        const aborted = connecting.then(({ socket, waiting }) => {
          waiting.delete(number);
          return write(socket, edgeFrames.abort, number, []);
        });
        detach(aborted, givenUp);
      },
    };
  }

  #begin({ socket, waiting }: Connection, number: number, ticket: Uint8Array): Promise<Acknowledged> {
    return new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(failed('unavailable'));
      waiting.set(number, { resolve, reject });
      detach(write(socket, edgeFrames.begin, number, [ticket]), givenUp);
    });
  }

  /** Returns the connection. While the store is away, it is looked for again until the patience is over. */
  async #connected(): Promise<Connection> {
    const until = performance.now() + patienceMs;
    for (;;)
      try {
        this.#connection ??= held(this.#connect());
        const connection = await this.#connection;
        // A socket that was destroyed a moment ago has not told its end yet.
        if (connection.socket.destroyed) throw failed('unavailable');
        return connection;
      } catch (error) {
        if (performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
  }

  #connect(): Promise<Connection> {
    const socket = connect(this.#path);
    const connection: Connection = { socket, waiting: new Map() };
    const cutter = new FrameCutter({ room: (head) => room(head), take: (head, body) => take(connection, head, body) });
    const connecting = new Promise<Connection>((resolve, reject) => {
      socket.once('connect', () => resolve(connection));
      socket.on('data', (chunk: Buffer) => {
        try {
          cutter.push(chunk);
        } catch {
          socket.destroy();
        }
      });
      socket.on('error', () => socket.destroy());
      socket.on('end', () => socket.destroy());
      socket.on('close', () => {
        this.#connection = undefined;
        reject(failed('unavailable'));
        for (const { reject: end } of connection.waiting.values()) end(failed('unavailable'));
        connection.waiting.clear();
      });
    });
    return bounded(patienceMs, 'the store', connecting).catch((error: unknown) => {
      // Otherwise a socket that connects too late would keep this failure for the next put.
      socket.destroy();
      throw error;
    });
  }
}

function room({ type, length }: Head): Buffer {
  const isRight =
    (type === storeFrames.durable && length === durableBytes) || (type === storeFrames.failed && length === 1);
  if (!isRight) throw new CofferdamError('invalid', 'the store sent something else than an answer');
  return Buffer.alloc(length);
}

function take({ waiting }: Connection, { type, put }: Head, body: Buffer): void {
  const one = waiting.get(put);
  waiting.delete(put);
  if (type === storeFrames.failed) one?.reject(failed(failures[body.readUInt8(0)] ?? 'unavailable'));
  else
    one?.resolve({
      sealedBytes: body.readUInt32BE(0),
      digest: body.subarray(4, 36),
      acknowledgement: body.subarray(36),
    });
}

/** Resolves when the kernel has taken the frame. Rejects with `unavailable` when the connection is lost before. */
function write(socket: Socket, type: number, put: number, parts: readonly Uint8Array[]): Promise<void> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > bodyBytesMax) return Promise.reject(new RangeError('a frame of the store is too long'));
  return new Promise((resolve, reject) => {
    socket.cork();
    const done = (error?: Error | null): void => (error ? reject(failed('unavailable')) : resolve());
    socket.write(frameHead(type, put, length), parts.length === 0 ? done : undefined);
    for (const [i, part] of parts.entries()) socket.write(part, i === parts.length - 1 ? done : undefined);
    socket.uncork();
  });
}

/** Waits for the answer of the store, as long as it may take. */
async function within(answer: Promise<Acknowledged>): Promise<Acknowledged> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failed('unavailable')), answerMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
