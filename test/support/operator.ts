// Owns: an operator's connection byte by byte, with any certificate, over the socket or a port, for tests of the gate
// of the admin process.
import { connect as connectSocket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { bounded } from '../../server/domain/bounded.ts';
import { FrameReader } from '../../server/rpc/framing.ts';

/** Longer than any question of a test takes. */
const answerMs = 300_000;

export type Door = string | { readonly host: string; readonly port: number };
export type Shown = {
  readonly cert?: string;
  readonly key?: string;
  readonly maxVersion?: 'TLSv1.2';
  readonly session?: Buffer;
};

function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

export class Visitor {
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<number, (answer: string) => void>();
  #error = 'closed';
  #nextId = 1;
  session: Buffer | undefined;

  constructor(door: Door, shown: Shown) {
    const plain = connectSocket(typeof door === 'string' ? { path: door } : { ...door });
    plain.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message;
    });
    this.socket = connectTls({ socket: plain, rejectUnauthorized: false, servername: 'cofferdam-admin', ...shown });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message;
    });
    this.socket.on('session', (session: Buffer) => {
      this.session = session;
    });
    this.socket.on('data', (chunk: Buffer) => {
      for (const raw of this.#reader.push(chunk)) {
        const { id, result, error } = raw as {
          id: number;
          result?: unknown;
          error?: { code: string; message: string };
        };
        this.#waiting.get(id)?.(
          error === undefined ? `answered ${JSON.stringify(result)}` : `${error.code}: ${error.message}`,
        );
      }
    });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
  }

  /**
   * The result: `answered …`, `<code>: …`, or `refused: …` when the connection ended. TLS 1.3 lets a client finish
   * first: only an answer counts.
   */
  whoami(): Promise<string> {
    return this.ask('whoami', {});
  }

  ask(op: string, params: unknown): Promise<string> {
    return this.askAs(op, JSON.stringify(params));
  }

  /** The parameters as text, which need not be what any program of ours would write. */
  askAs(op: string, params: string): Promise<string> {
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise<string>((resolve) => this.#waiting.set(id, resolve));
    if (!this.socket.destroyed)
      this.socket.write(frameOf(`{"id":${id},"op":${JSON.stringify(op)},"params":${params}}`));
    return bounded(
      answerMs,
      `an answer of the admin process to ${op}`,
      Promise.race([answer, this.closed.then(() => `refused: ${this.#error}`)]),
    );
  }

  close(): void {
    this.socket.destroy();
  }
}

/** One connection, one question. */
export async function knock(door: Door, shown: Shown): Promise<string> {
  const visitor = new Visitor(door, shown);
  const answer = await visitor.whoami();
  visitor.close();
  return answer;
}
