// Owns: the client side of the self-test: a login at this edge's own listener with given proofs, a read, and a write.
// Must never: run longer than its time limit, or connect to any other address than the edge's own.
import { connect, type Socket } from 'node:net';
import { detach } from '../../domain/detached.ts';
import { type ClientMethod, type ClientSftp, newClient } from '../transport/ssh2-client.ts';

export type Target = {
  readonly host: string;
  readonly port: number;
  /** True when a PROXY header must come first, because our own address is one of the configured load balancers. */
  readonly needsHeader: boolean;
  /**
   * The accepted host keys: public halves in the SSH wire form,
   * base64. The probe fails when the listener shows any other key.
   */
  readonly hostKeys: readonly string[];
  /** Called with the local port of each of our connections when it opens, and again after it has closed. */
  readonly onPort: (port: number, isOpen: boolean) => void;
};
export type Person = { readonly username: string; readonly privateKey: string };
type Outcome = {
  readonly isOpen: boolean;
  readonly answersAsked: number;
  readonly reason: string;
  readonly sftp: ClientSftp | null;
  close(): void;
};

const probeMs = 30_000;
const attemptsMax = 40;

/**
 * Logs in with the key first, then answers each prompt with what `answers` returns, until
 * the server opens a session or ends the connection. An answer of null ends the connection.
 */
export async function login(target: Target, person: Person, answers: () => Promise<string | null>): Promise<Outcome> {
  const socket = await dial(target);
  const client = newClient();
  let asked = 0;
  let reason = '';
  let tries = 0;
  const interactive: ClientMethod = {
    type: 'keyboard-interactive',
    username: person.username,
    prompt: (_name, _instruction, _language, prompts, finish) => {
      asked += 1;
      detach(
        answers().then(
          (answer) => (answer === null ? client.destroy() : finish(prompts.map(() => answer))),
          () => client.destroy(),
        ),
        () => client.destroy(),
      );
    },
  };
  const isOpen = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => client.destroy(), probeMs);
    const end = (value: boolean): void => {
      clearTimeout(timer);
      resolve(value);
    };
    client.on('ready', () => end(true));
    client.on('error', (error) => {
      if (reason === '') reason = error.message;
      end(false);
    });
    client.on('close', () => {
      if (reason === '') reason = `the connection was ended after ${asked} questions`;
      end(false);
    });
    client.connect({
      sock: socket,
      username: person.username,
      readyTimeout: probeMs,
      hostVerifier: (blob) => target.hostKeys.includes(blob.toString('base64')),
      authHandler: (_left, _partial, next) => {
        tries += 1;
        if (tries === 1) return next({ type: 'publickey', username: person.username, key: person.privateKey });
        next(tries > attemptsMax ? false : interactive);
      },
    });
  });
  const close = (): void => client.destroy();
  if (!isOpen) {
    close();
    return { isOpen, answersAsked: asked, reason, sftp: null, close };
  }
  const sftp = await new Promise<ClientSftp | null>((resolve) =>
    client.sftp((error, opened) => resolve(error === undefined ? opened : null)),
  );
  return { isOpen, answersAsked: asked, reason, sftp, close };
}

function dial({ host, port, needsHeader, onPort }: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      const own = socket.localPort ?? 0;
      onPort(own, true);
      socket.once('close', () => setTimeout(() => onPort(own, false), 1000).unref());
      socket.off('error', reject);
      if (needsHeader) socket.write('PROXY UNKNOWN\r\n');
      resolve(socket);
    });
  });
}

const settled = <T>(work: (done: (error: Error | undefined, value: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), probeMs);
    work((error, value) => {
      clearTimeout(timer);
      if (error === undefined || error === null) resolve(value);
      else reject(error);
    });
  });

/**
 * Reads up to `length` bytes from the start of a file and returns how many were read. Rejects with the server's error
 * text.
 */
export async function readFrom(sftp: ClientSftp, path: string, length: number): Promise<number> {
  const handle = await settled<Buffer>((done) => sftp.open(path, 'r', done));
  try {
    return await settled<number>((done) => sftp.read(handle, Buffer.alloc(length), 0, length, 0, done));
  } finally {
    await settled<void>((done) => sftp.close(handle, (error) => done(error, undefined))).catch(() => {});
  }
}

export async function writeFile(sftp: ClientSftp, path: string, bytes: Buffer): Promise<void> {
  const handle = await settled<Buffer>((done) => sftp.open(path, 'w', done));
  await settled<void>((done) => sftp.write(handle, bytes, 0, bytes.length, 0, (error) => done(error, undefined)));
  await settled<void>((done) => sftp.close(handle, (error) => done(error, undefined)));
}
