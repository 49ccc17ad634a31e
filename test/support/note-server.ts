// Owns: a witness behind HTTPS for tests: it keeps notes in memory, returns the newest, asks for a token, and can be
// told to misbehave.
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { bounded } from '../../server/domain/bounded.ts';

export type Misbehaviour = 'none' | 'refuses' | 'silent' | 'babbles' | 'redirects' | 'lies';

export class NoteServer {
  readonly notes: string[] = [];
  behaves: Misbehaviour = 'none';
  requests = 0;
  readonly #tls: { readonly key: string; readonly cert: string };
  readonly #token: string;
  #server: Server | undefined;
  #port = 0;

  constructor(tls: { readonly key: string; readonly cert: string }, token: string) {
    this.#tls = tls;
    this.#token = token;
  }

  get url(): string {
    return `https://localhost:${this.#port}/checkpoints`;
  }

  /** On the port that it had before, if it had one. */
  async start(): Promise<void> {
    const server = createServer(this.#tls, (request, response) => {
      this.requests += 1;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { behaves } = this;
        if (request.headers.authorization !== `Bearer ${this.#token}`) return void response.writeHead(401).end();
        if (behaves === 'silent') return;
        if (behaves === 'refuses') return void response.writeHead(507).end();
        if (behaves === 'redirects') return void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
        if (behaves === 'babbles') return void response.writeHead(200).end('x'.repeat(70_000));
        if (request.method === 'POST') {
          if (request.headers['content-type'] !== 'text/plain; charset=utf-8')
            return void response.writeHead(415).end();
          this.notes.push(Buffer.concat(chunks).toString('utf8'));
          return void response.writeHead(201).end();
        }
        const newest = behaves === 'lies' ? 'a note of mine' : this.notes.at(-1);
        if (newest === undefined) return void response.writeHead(404).end();
        response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(newest);
      });
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await bounded(10_000, 'the end of a witness whose connections are gone', closed);
  }
}
