// Owns: the listeners for operators: TLS 1.3 with client certificates over the unix socket and, when configured, over
// one loopback port.
// Must never: listen on an address that another machine can reach, or hand on a connection without a valid certificate
// (T-04).

import { AsyncLocalStorage } from 'node:async_hooks';
import type { X509Certificate } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { createServer as createTls, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type Config, type Directories, runtimePaths } from '../../config/config.ts';
import { loopbackAddress } from '../../domain/addresses.ts';
import { closedMs, happens } from '../../domain/bounded.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import { Guests } from './guests.ts';
import { refusalOf, type Trust, type TrustFiles } from './trust.ts';

const handshakeMs = 5000;

type ListeningPoint = { readonly name: string; readonly listen: ListenOptions };
type ListenerOptions = {
  readonly config: Directories & Pick<Config, 'admin' | 'shares'>;
  readonly trust: TrustFiles;
  readonly log: Logger;
  readonly serve: (socket: TLSSocket, certificate: X509Certificate) => void;
};

/**
 * Returns where to listen. The address is checked here once more, whatever was checked before; throws `configuration`
 * when it is not a loopback address.
 */
function pointsOf(path: string, { tcp }: Config['admin']): readonly ListeningPoint[] {
  const host = tcp === null ? undefined : loopbackAddress(tcp.host);
  if (tcp !== null && host === undefined)
    throw new CofferdamError('configuration', `admin.tcp: ${tcp.host} is no loopback address`);
  return [
    { name: path, listen: { path } },
    ...(tcp === null || host === undefined
      ? []
      : [{ name: `${host}:${tcp.port}`, listen: { host, port: tcp.port, exclusive: true } }]),
  ];
}

/** All listeners for operators. It closes connections whose certificate stops being valid. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #servers: Server[] = [];
  readonly #handshakes: TlsServer[] = [];
  readonly #guests: Guests[] = [];
  readonly #open = new Map<TLSSocket, X509Certificate>();

  private constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Starts all listeners or none. Throws `configuration`. */
  static async start(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const path = runtimePaths(options.config).adminSocket;
    const points = pointsOf(path, options.config.admin);
    rmSync(path, { force: true });
    try {
      for (const point of points) await listener.#listen(point);
    } catch (error) {
      await listener.stop();
      throw error;
    }
    // The socket inherits the group of its directory, to which the operators of this machine belong (decision 22).
    // Access is decided by the certificate.
    chmodSync(path, 0o660);
    options.trust.watch((trust) => listener.#renew(trust));
    return listener;
  }

  async #listen({ name, listen }: ListeningPoint): Promise<void> {
    const { config, trust, log } = this.#options;
    const guests = new Guests(config.shares.admin.handshakes);
    // Carries the plain socket through the handshake, so that it is known which one has completed it.
    const knocking = new AsyncLocalStorage<Socket>();
    const handshakes = createTls(
      { ...trust.current.context, requestCert: true, rejectUnauthorized: true, handshakeTimeout: handshakeMs },
      (socket) => {
        const plain = knocking.getStore();
        if (plain !== undefined) guests.remove(plain);
        knocking.exit(() => this.#receive(socket, name));
      },
    );
    handshakes.on('tlsClientError', (error, socket) =>
      log.warn(
        { socket: name, reason: socket.authorizationError ?? error.message },
        'an operator connection was refused',
      ),
    );
    const server = createServer((socket) => {
      guests.add(socket);
      socket.on('error', () => {});
      knocking.run(socket, () => void handshakes.emit('connection', socket));
    });
    this.#handshakes.push(handshakes);
    this.#guests.push(guests);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new CofferdamError('configuration', `the admin process cannot listen on ${name}`, { cause })),
      );
      server.listen(listen, resolve);
    });
    this.#servers.push(server);
  }

  #receive(socket: TLSSocket, name: string): void {
    const { trust, log, serve } = this.#options;
    const certificate = socket.getPeerX509Certificate();
    // The handshake may have begun before a revocation list changed, so the certificate is checked again.
    const refusal =
      !socket.authorized || socket.isSessionReused() || certificate === undefined
        ? 'no certificate'
        : refusalOf(trust.current, certificate);
    if (refusal !== undefined || certificate === undefined) {
      log.warn({ socket: name, reason: refusal }, 'an operator connection was refused');
      socket.destroy();
      return;
    }
    this.#open.set(socket, certificate);
    socket.once('close', () => this.#open.delete(socket));
    serve(socket, certificate);
  }

  /** Uses the new files for handshakes from now on, and closes connections whose certificate is no longer valid. */
  #renew(trust: Trust): void {
    for (const handshakes of this.#handshakes) handshakes.setSecureContext(trust.context);
    for (const [socket, certificate] of this.#open) {
      const reason = refusalOf(trust, certificate);
      if (reason === undefined) continue;
      this.#options.log.warn(
        { reason, serial: certificate.serialNumber.toLowerCase() },
        'an operator connection was closed',
      );
      socket.destroy();
    }
  }

  async stop(): Promise<void> {
    this.#options.trust.stop();
    const closed = this.#servers.map((server) =>
      happens(closedMs, new Promise<void>((resolve) => server.close(() => resolve()))),
    );
    for (const socket of this.#open.keys()) socket.destroy();
    for (const guests of this.#guests) guests.end();
    await Promise.all(closed);
  }
}
