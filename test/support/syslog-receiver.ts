// Owns: a syslog receiver for tests: unix stream socket, TCP or TLS. It can stop reading, lose its connections, and go
// away. Run as a program it writes what it gets into a file, so that it can be killed: `node syslog-receiver.ts PORT
// FILE`.
import { appendFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { bounded } from '../../server/domain/bounded.ts';
import { parseSyslog, takeFrames } from './syslog.ts';

export type Listening =
  | { readonly path: string }
  | { readonly port: number; readonly tls?: { readonly key: string; readonly cert: string } };

export class Receiver {
  readonly messages: string[] = [];
  readonly #server: Server;
  readonly #framing: 'octets' | 'lines';
  readonly #sockets = new Set<Socket>();
  #isReading = true;

  private constructor(framing: 'octets' | 'lines', tls: { readonly key: string; readonly cert: string } | undefined) {
    this.#framing = framing;
    const take = (socket: Socket): void => this.#take(socket);
    this.#server = tls === undefined ? createServer(take) : createTlsServer({ ...tls }, take);
  }

  static async listen(where: Listening): Promise<Receiver> {
    const receiver = new Receiver('path' in where ? 'lines' : 'octets', 'port' in where ? where.tls : undefined);
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once('error', reject);
      if ('path' in where) receiver.#server.listen(where.path, resolve);
      else receiver.#server.listen(where.port, '127.0.0.1', resolve);
    });
    return receiver;
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    if (!this.#isReading) socket.pause();
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const { messages, rest: left } = takeFrames(Buffer.concat([rest, chunk]), this.#framing);
      this.messages.push(...messages);
      rest = Buffer.from(left);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** In the order in which they came, repeats included. */
  get numbers(): readonly number[] {
    return this.messages.map((message) => Number(parseSyslog(message).params.number));
  }

  stopReading(): void {
    this.#isReading = false;
    for (const socket of this.#sockets) socket.pause();
  }

  readAgain(): void {
    this.#isReading = true;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Every connection is gone, with what was not read yet. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.drop();
    await bounded(10_000, 'the end of a receiver whose connections are gone', closed);
  }
}

if (import.meta.main) {
  const [port, file] = process.argv.slice(2);
  const receiver = await Receiver.listen({ port: Number(port) });
  const { messages } = receiver;
  messages.push = (...more) => {
    for (const one of more) appendFileSync(file ?? '', `${one}\n`);
    return more.length;
  };
  process.stdout.write('listens\n');
}
