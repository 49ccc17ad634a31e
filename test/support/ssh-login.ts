// Owns: a login by ssh2's client with answers to prompts, for what OpenSSH's batch mode cannot say.
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { bounded } from '../../server/domain/bounded.ts';

/** For the library's own handshake; what follows may take as long again, three times. */
const readyMs = 15_000;

const { Client, BaseAgent } = createRequire(import.meta.url)('ssh2') as {
  BaseAgent: new () => object;
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
export type Login = {
  readonly isOpen: boolean;
  readonly closed: Promise<void>;
  close(): void;
  sftpStream(): Promise<Duplex>;
};

/** One attempt: the key, then whatever is prompted for. Without `keepOpen` an opened session is closed again. */
export function sshLogin(options: LoginOptions): Promise<Login> {
  const client = new Client();
  const closed = new Promise<void>((resolve) => client.on('close', () => resolve()));
  const tried = new Promise<Login>((resolve) => {
    const finish = (isOpen: boolean): void => {
      if (!isOpen || options.keepOpen !== true) client.end();
      const sftpStream = (): Promise<Duplex> =>
        new Promise((done, fail) =>
          client.subsys('sftp', (error, stream) => (error === undefined ? done(stream) : fail(error))),
        );
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
      readyTimeout: readyMs,
      agent: undefined,
    });
  });
  return bounded(4 * readyMs, `a login of ${options.username}`, tried);
}

/**
 * A key that signs; a public key that is named with somebody else's signature; a password; the answer to whatever is
 * prompted for.
 */
export type ShownProof =
  | { readonly key: string }
  | { readonly foreignKey: string }
  | { readonly password: string }
  | { readonly answer: string };

type Handed = (method: object | false) => void;

function methodOf(username: string, proof: ShownProof): object {
  if ('key' in proof) return { type: 'publickey', username, key: proof.key };
  if ('password' in proof) return { type: 'password', username, password: proof.password };
  if ('answer' in proof) {
    const prompt = (
      _name: string,
      _instruction: string,
      _language: string,
      prompts: readonly object[],
      done: (answers: string[]) => void,
    ) => done(prompts.map(() => proof.answer));
    return { type: 'keyboard-interactive', username, prompt };
  }
  const agent = new (class extends BaseAgent {
    getIdentities(done: (error: undefined, keys: readonly string[]) => void): void {
      done(undefined, [proof.foreignKey]);
    }
    sign(_key: unknown, _data: unknown, _options: unknown, done: (error: undefined, signature: Buffer) => void): void {
      done(undefined, Buffer.alloc(64, 1));
    }
  })();
  return { type: 'agent', username, agent };
}

/** Shows these proofs in this order, whatever is answered, on one connection. Returns whether that opened a session. */
export function loginInSteps(port: number, username: string, proofs: readonly ShownProof[]): Promise<boolean> {
  const client = new Client();
  const rest = [...proofs];
  const tried = new Promise<boolean>((resolve) => {
    const finish = (isOpen: boolean): void => {
      client.end();
      resolve(isOpen);
    };
    client.on('ready', () => finish(true));
    client.on('error', () => finish(false));
    client.on('close', () => finish(false));
    const authHandler = (_methods: unknown, _partial: unknown, next: Handed): void => {
      const proof = rest.shift();
      next(proof === undefined ? false : methodOf(username, proof));
    };
    client.connect({ host: '127.0.0.1', port, username, authHandler, readyTimeout: readyMs });
  });
  return bounded(4 * readyMs, `a login of ${username} in ${proofs.length} steps`, tried);
}
