// Owns: one connection to a syslog receiver over a unix stream socket, TCP or TLS: writing, and finding out whether
// everything was read.
// Must never: buffer more than what one call was given, or report as read what was only sent.
import { readFile } from 'node:fs/promises';
import { connect as connectStream, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SyslogDestination } from '../../../config/ledger-settings.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import { framed } from '../../../domain/ledger/syslog.ts';

export type SyslogConnection = {
  /**
   * Sends messages and resolves when the kernel has taken all of them. Rejects when the connection breaks; it is then
   * unknown how much arrived.
   */
  send(messages: readonly string[]): Promise<void>;
  /** Ends the connection. Returns true when the receiver has read everything that was sent on it. */
  finish(): Promise<boolean>;
  /** Drops the connection at once. */
  destroy(): void;
  readonly isOpen: boolean;
};

export type ConnectionTimes = {
  readonly connectMs: number;
  /** How long nothing may move while there is something to write. */
  readonly stallMs: number;
  /** The wait before the end is sent: within this time a reset caused by something sent earlier can still arrive. */
  readonly settleMs: number;
  readonly finishMs: number;
};
export const defaultTimes: ConnectionTimes = { connectMs: 5000, stallMs: 60_000, settleMs: 250, finishMs: 10_000 };

const broken = (cause?: unknown): CofferdamError =>
  new CofferdamError('unavailable', cause instanceof Error ? cause.message : 'the receiver ended the connection', {
    cause,
  });

/** Returns the address of a receiver as text for logs and alerts. */
export const destinationText = (to: SyslogDestination): string =>
  to.transport === 'unix' ? to.path : `${to.transport}://${to.host}:${to.port}`;

async function openStream(to: SyslogDestination, times: ConnectionTimes): Promise<Socket> {
  const ca = to.transport === 'tls' && to.ca !== null ? await readFile(to.ca) : undefined;
  return new Promise((resolve, reject) => {
    const socket =
      to.transport === 'unix'
        ? connectStream({ path: to.path })
        : to.transport === 'tcp'
          ? connectStream({ host: to.host, port: to.port, keepAlive: true })
          : connectTls({
              host: to.host,
              port: to.port,
              ...(ca === undefined ? {} : { ca }),
              ...(isIP(to.host) === 0 ? { servername: to.host } : {}),
              minVersion: 'TLSv1.2',
              rejectUnauthorized: true,
            });
    const give = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(broken(error));
    };
    const timer = setTimeout(() => give(new Error('no connection in time')), times.connectMs);
    socket.once('error', give);
    socket.once(to.transport === 'tls' ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      socket.off('error', give);
      resolve(socket);
    });
  });
}

/**
 * A connection over a stream, which has no acknowledgements of its own. When our end is sent and the receiver's end
 * comes back without an error, the receiver has read everything: the kernel of a process that exits with unread bytes
 * resets the connection instead.
 */
class StreamConnection implements SyslogConnection {
  readonly #socket: Socket;
  readonly #framing: 'octets' | 'lines';
  readonly #times: ConnectionTimes;
  #fault: CofferdamError | undefined;
  #isFinishing = false;
  #heardEnd = false;
  readonly #closed: Promise<void>;

  constructor(socket: Socket, framing: 'octets' | 'lines', times: ConnectionTimes) {
    this.#socket = socket;
    this.#framing = framing;
    this.#times = times;
    socket.setTimeout(times.stallMs);
    socket.on('error', (error) => (this.#fault ??= broken(error)));
    socket.on('timeout', () => {
      if (socket.writableLength > 0) this.#fail('the receiver takes nothing more');
    });
    socket.on('end', () => {
      if (this.#isFinishing) this.#heardEnd = true;
      else this.#fail('the receiver ended the connection');
    });
    // Receivers are not expected to send anything. Whatever they send is discarded, so that it does not accumulate.
    socket.resume();
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#fault ??= broken();
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#fault === undefined && !this.#isFinishing;
  }

  #fail(text: string): void {
    this.#fault ??= new CofferdamError('unavailable', text);
    this.#socket.destroy();
  }

  async send(messages: readonly string[]): Promise<void> {
    if (!this.isOpen) throw this.#fault ?? broken();
    const bytes = Buffer.concat(messages.map((message) => framed(message, this.#framing)));
    const written = new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(this.#fault ?? broken(error)) : resolve()));
    });
    // A socket that is destroyed does not call back for a write that is under way.
    await Promise.race([
      written,
      this.#closed.then(() => {
        throw this.#fault ?? broken();
      }),
    ]);
  }

  async finish(): Promise<boolean> {
    if (!this.isOpen) return false;
    await Promise.race([this.#closed, new Promise((resolve) => setTimeout(resolve, this.#times.settleMs))]);
    if (!this.isOpen) return false;
    this.#isFinishing = true;
    const timer = setTimeout(() => this.#fail('the receiver does not end the connection'), this.#times.finishMs);
    this.#socket.end();
    await this.#closed;
    clearTimeout(timer);
    return this.#heardEnd && this.#socket.errored === null;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Connects to a receiver. Throws `unavailable` when no connection is established in time. */
export async function connectSyslog(
  to: SyslogDestination,
  times: ConnectionTimes = defaultTimes,
): Promise<SyslogConnection> {
  try {
    return new StreamConnection(await openStream(to, times), to.transport === 'unix' ? 'lines' : 'octets', times);
  } catch (cause) {
    throw cause instanceof CofferdamError ? cause : broken(cause);
  }
}
