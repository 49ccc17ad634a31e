// Owns: a login by ssh2's client with answers to prompts, for what OpenSSH's batch mode cannot say.
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

const { Client } = createRequire(import.meta.url)('ssh2') as {
  Client: new () => {
    on(event: string, listener: (...args: never[]) => void): void;
    connect(options: object): void;
    end(): void;
    subsys(name: string, done: (error: Error | undefined, stream: Duplex) => void): void;
  };
};

export type LoginOptions = {
  readonly port: number;
  readonly username: string;
  readonly privateKey: string;
  readonly answer: (prompt: string, instruction: string) => string;
  readonly keepOpen?: boolean;
};
export type Login = { readonly isOpen: boolean; readonly closed: Promise<void>; close(): void; sftpStream(): Promise<Duplex> };

/** One try: key, then whatever is prompted for. Without `keepOpen` an opened session is closed again. */
export function sshLogin(options: LoginOptions): Promise<Login> {
  const client = new Client();
  const closed = new Promise<void>((resolve) => client.on('close', () => resolve()));
  return new Promise((resolve) => {
    const finish = (isOpen: boolean): void => {
      if (!isOpen || options.keepOpen !== true) client.end();
      const sftpStream = (): Promise<Duplex> =>
        new Promise((done, fail) => client.subsys('sftp', (error, stream) => (error === undefined ? done(stream) : fail(error))));
      resolve({ isOpen, closed, close: () => client.end(), sftpStream });
    };
    client.on('ready', () => finish(true));
    client.on('error', () => finish(false));
    void closed.then(() => finish(false));
    client.on('keyboard-interactive', ((
      _name: string,
      instruction: string,
      _language: string,
      prompts: readonly { prompt: string }[],
      done: (answers: readonly string[]) => void,
    ) => {
      done(prompts.map(({ prompt }) => options.answer(prompt, instruction)));
    }) as never);
    client.connect({
      host: '127.0.0.1',
      port: options.port,
      username: options.username,
      privateKey: options.privateKey,
      tryKeyboard: true,
      readyTimeout: 15_000,
      agent: undefined,
    });
  });
}
