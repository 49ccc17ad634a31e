// Owns: an SFTP client for tests that must read the server's own words, or read in ways that OpenSSH's client does not:
// ssh2's client, as promises.
import { createRequire } from 'node:module';
import { bounded } from '../../server/domain/bounded.ts';
import type { ClientSftp } from '../../server/edge/transport/ssh2-client.ts';

type Wrapper = ClientSftp & {
  readdir(path: string, done: (error: Error | undefined, list: readonly { filename: string }[]) => void): void;
};
type RawClient = {
  on(event: string, listener: (...args: never[]) => void): void;
  connect(options: object): void;
  end(): void;
  destroy(): void;
  sftp(done: (error: Error | undefined, sftp: Wrapper) => void): void;
};
const { Client } = createRequire(import.meta.url)('ssh2') as { Client: new () => RawClient };

/** Longer than any answer may be delayed: by a slow flow, by a record that is late, by a warden that starts again. */
const answerMs = 300_000;

export type SftpOptions = {
  readonly port: number;
  readonly username: string;
  readonly privateKey: string;
  /** For accounts with a second factor. */
  readonly code?: string;
  readonly readyMs?: number;
  /** Where it comes from, and how it identifies itself after `SSH-2.0-`. */
  readonly localAddress?: string;
  readonly ident?: string;
};

const settled = <T>(work: (done: (error: Error | undefined, value: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => work((error, value) => (error ? reject(error) : resolve(value))));

export class SftpClient {
  readonly #client: RawClient;
  readonly #sftp: Wrapper;
  /**
   * Resolves when the connection is over, with the words of the server's DISCONNECT; `undefined` when there were none.
   */
  readonly closed: Promise<string | undefined>;

  private constructor(client: RawClient, sftp: Wrapper, closed: Promise<string | undefined>) {
    this.#client = client;
    this.#sftp = sftp;
    this.closed = closed;
  }

  /** Logs in and opens the subsystem. Rejects with what the client was told. */
  static async connect({
    port,
    username,
    privateKey,
    code,
    readyMs,
    localAddress,
    ident,
  }: SftpOptions): Promise<SftpClient> {
    const client = new Client();
    let farewell: string | undefined;
    const closed = new Promise<string | undefined>((resolve) => client.on('close', () => resolve(farewell)));
    const ready = new Promise<void>((resolve, reject) => {
      client.on('ready', () => resolve());
      client.on('error', ((error: Error) => reject(error)) as never);
      void closed.then(() => reject(new Error('closed')));
    });
    client.on('keyboard-interactive', ((
      _n: string,
      _i: string,
      _l: string,
      prompts: readonly unknown[],
      done: (answers: readonly string[]) => void,
    ) => done(prompts.map(() => code ?? ''))) as never);
    client.connect({
      host: '127.0.0.1',
      port,
      username,
      privateKey,
      tryKeyboard: code !== undefined,
      readyTimeout: readyMs ?? 15_000,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(ident === undefined ? {} : { ident }),
      agent: undefined,
      // The library passes the words of a DISCONNECT to nobody else.
      debug: (line: string) => {
        farewell ??= /Received DISCONNECT \(\d+, "(.*)"\)/.exec(line)?.[1];
      },
    });
    await ready;
    try {
      const gone = closed.then(() => Promise.reject(new Error('closed')));
      const sftp = await Promise.race([settled<Wrapper>((done) => client.sftp(done)), gone]);
      gone.catch(() => {});
      return new SftpClient(client, sftp, closed);
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  #or<T>(what: string, work: Promise<T>): Promise<T> {
    const gone = this.closed.then(() => Promise.reject(new Error('closed')));
    gone.catch(() => {});
    return bounded(answerMs, `an answer to ${what}`, Promise.race([work, gone]));
  }

  open(path: string, flags: 'r' | 'w' | 'a' = 'r'): Promise<Buffer> {
    return this.#or(
      `OPEN of ${path}`,
      settled((done) => this.#sftp.open(path, flags, done)),
    );
  }

  /** At most `length` bytes; empty at the end of the file. */
  async read(handle: Buffer, position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length);
    try {
      const bytes = await this.#or(
        `READ at ${position}`,
        settled<number>((done) => this.#sftp.read(handle, buffer, 0, length, position, done)),
      );
      return buffer.subarray(0, bytes);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 1) return Buffer.alloc(0);
      throw error;
    }
  }

  write(handle: Buffer, position: number, bytes: Buffer): Promise<void> {
    return this.#or(
      `WRITE at ${position}`,
      settled<void>((done) =>
        this.#sftp.write(handle, bytes, 0, bytes.length, position, (error) => done(error, undefined)),
      ),
    );
  }

  close(handle: Buffer): Promise<void> {
    return this.#or(
      'CLOSE',
      settled<void>((done) => this.#sftp.close(handle, (error) => done(error, undefined))),
    );
  }

  async list(path: string): Promise<readonly string[]> {
    return (
      await this.#or(
        `a list of ${path}`,
        settled((done: (error: Error | undefined, list: readonly { filename: string }[]) => void) =>
          this.#sftp.readdir(path, done),
        ),
      )
    ).map((one) => one.filename);
  }

  end(): void {
    this.#client.end();
  }

  destroy(): void {
    this.#client.destroy();
  }
}

/** The reason for which a promise was rejected, as text; `null` when it was not. */
export const refusal = (work: Promise<unknown>): Promise<string | null> =>
  work.then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
