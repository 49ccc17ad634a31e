// Owns: an operator's connection without the client of cofferctl: frames that are built by hand, and any certificate,
// for tests of who is let into the admin process.
import { connect as connectSocket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { AdminAddress } from '../../admin-cli/connection/identity.ts';
import { bounded } from '../../server/domain/bounded.ts';
import { FrameReader } from '../../server/rpc/framing.ts';

/** Longer than any question of a test takes. */
const answerMs = 300_000;

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

  constructor(address: AdminAddress, shown: Shown) {
    const plain = connectSocket(typeof address === 'string' ? { path: address } : { ...address });
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
   * Returns `answered …`, `<code>: …`, or `refused: …` when the connection ended. With TLS 1.3 the client's handshake
   * ends before the server has checked its certificate, so only an answer shows that the certificate was accepted.
   */
  whoami(): Promise<string> {
    return this.ask('whoami', {});
  }

  ask(op: string, params: unknown): Promise<string> {
    return this.askRaw(op, JSON.stringify(params));
  }

  /** Asks with parameters that are given as text, which need not be what any program of ours would write. */
  askRaw(op: string, params: string): Promise<string> {
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

/** Connects, asks who it is, and returns the answer. */
export async function knock(address: AdminAddress, shown: Shown): Promise<string> {
  const visitor = new Visitor(address, shown);
  const answer = await visitor.whoami();
  visitor.close();
  return answer;
}
