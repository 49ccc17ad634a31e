// Owns: the listener of one edge, and the way of a socket from there to a connection: a place, the warden, and then the
// connection itself.
// Must never: keep a place for a socket that is gone, or begin a connection once it refuses new ones.
import { createServer, type Server, type Socket } from 'node:net';
import type { EdgeConfig } from '../config/config.ts';
import { type Network, parseNetwork } from '../domain/addresses.ts';
import { profiles } from '../domain/algorithms.ts';
import { detach } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import { SocketReader } from '../rpc/own-buffer.ts';
import type { Admission, ConnectionPlace, Verdict } from './accept/admission.ts';
import { whenSourceKnown } from './accept/balanced.ts';
import type { ProxySource } from './accept/proxy-protocol.ts';
import type { Clients } from './clients.ts';
import { startConsole } from './console/console.ts';
import type { EdgeNode, StartSftp } from './seam/sftp-seam.ts';
import type { SelfTest } from './self-test/self-test.ts';
import { makeOffers } from './transport/algorithms.ts';
import type { BufferReserve } from './transport/buffer-reserve.ts';
import { Connection } from './transport/connection.ts';
import { TurnedAway } from './transport/turned-away.ts';
import { exchangeSigner } from './warden-client/exchange-signer.ts';
import type { WardenClient } from './warden-client/warden-client.ts';

const sweepEveryMs = 10_000;
/** How much may wait in the socket of a client before it says that it is full, in bytes. */
const highWaterMark = 256 * 1024;

/** What a client is told that is not let in. The words about a penalty are followed by when it is over. */
const words: Readonly<Record<Exclude<Verdict, 'admitted'>, string>> = {
  draining: 'this server is stopping or restarting; connect again',
  'all-full': 'this server has as many connections as it may have; connect again later',
  'strangers-full': 'too many connections have not logged in; connect again in a moment',
  'source-full': 'too many connections from your address have not logged in; close one, or connect again in a moment',
  'early-drop': 'too many connections have not logged in; connect again in a moment',
  penalty: 'too many connections from your address failed; connect again in',
};
const nobodyDecides = 'this server cannot decide about logins now; connect again later';

type ReceptionOptions = {
  readonly node: EdgeNode;
  readonly edge: EdgeConfig;
  /** The client of the warden. The first `node.hello`, whose answer brings the host keys, was answered before. */
  readonly warden: WardenClient;
  readonly banner: string;
  readonly clients: Clients;
  readonly admission: Admission;
  readonly reserve: BufferReserve;
  /** Whether sockets are read into memory of our own. */
  readonly readsOwn: boolean;
  readonly startSftp: StartSftp;
  readonly selfTest: Pick<SelfTest, 'isOwn'>;
};

export class Reception {
  readonly #options: ReceptionOptions;
  readonly #balancers: readonly Network[];
  readonly #forAll: Pick<ConstructorParameters<typeof Connection>[0], 'profile' | 'exchange' | 'offerFor'>;
  readonly #server: Server;
  readonly #sweep: NodeJS.Timeout;
  readonly #turnedAway = new TurnedAway();
  #isRefusing = false;
  #sockets = 0;

  constructor(options: ReceptionOptions) {
    const { edge, warden, admission } = options;
    this.#options = options;
    this.#balancers = edge.balancers.map(parseNetwork).filter((network) => network !== undefined);
    const profile = profiles[edge.profile];
    const exchange = exchangeSigner(warden);
    this.#forAll = { profile, exchange, offerFor: makeOffers(profile, exchange.hostKeysInUse()) };
    this.#server = createServer({ noDelay: true, pauseOnConnect: true, highWaterMark }, (socket) =>
      this.#accept(socket),
    );
    this.#sweep = setInterval(() => admission.sweep(), sweepEveryMs);
  }

  /** Throws `configuration` when the address cannot be listened on. */
  async listen(): Promise<void> {
    const { host, port } = this.#options.edge;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(new CofferdamError('configuration', `cannot listen on ${host}:${port}`, { cause })),
      );
      this.#server.listen({ host, port, backlog: 511 }, resolve);
    });
  }

  /** Lets nobody in any more. Connections that have begun go on. */
  refuse(): void {
    this.#isRefusing = true;
    this.#server.close();
  }

  stop(): void {
    this.refuse();
    clearInterval(this.#sweep);
  }

  #accept(accepted: Socket): void {
    const { node, reserve, readsOwn } = this.#options;
    const { connectionsMax, unauthenticatedConnectionsMax } = node.limits;
    accepted.on('error', () => {});
    if (this.#isRefusing || this.#sockets >= connectionsMax + unauthenticatedConnectionsMax) {
      accepted.destroy();
      return;
    }
    this.#sockets += 1;
    const reader = new SocketReader(accepted, reserve.sockets, readsOwn, highWaterMark);
    reader.socket.on('error', () => {});
    reader.socket.once('close', () => (this.#sockets -= 1));
    whenSourceKnown(reader, this.#balancers, (source) => this.#begin(reader, source));
  }

  #begin(reader: SocketReader, source: ProxySource): void {
    const { admission, warden, node } = this.#options;
    const { socket } = reader;
    const place = this.#isRefusing ? 'draining' : admission.enter(source.address);
    if (typeof place === 'string') {
      const seconds = place === 'penalty' ? ` ${Math.max(1, admission.servedInSeconds(source.address))} s` : '';
      return this.#turnedAway.tell(reader, `${words[place]}${seconds}`);
    }
    if (warden.isReady) return this.#connect(reader, source, place);
    // Without a warden nobody can sign the key exchange. The connection keeps its place, unread, until there is a
    // warden.
    reader.pause();
    place.onEvicted = () => socket.destroy();
    const connected = warden
      .whenReady()
      .then(
        () => (this.#isRefusing ? words.draining : undefined),
        () => nobodyDecides,
      )
      .then((refusal) => {
        if (refusal === undefined && !socket.destroyed) return this.#connect(reader, source, place);
        admission.leave(place);
        this.#turnedAway.tell(reader, refusal ?? nobodyDecides);
      });
    detach(connected, (error) => {
      node.log.error({ err: error }, 'defect while accepting a connection');
      socket.destroy();
    });
  }

  #connect(reader: SocketReader, source: ProxySource, place: ConnectionPlace): void {
    const { node, warden, banner, clients, admission, reserve, startSftp, selfTest } = this.#options;
    const connection: Connection = new Connection({
      ...this.#forAll,
      reader,
      node,
      source,
      banner,
      warden,
      startSftp,
      startConsole,
      isLeaseLive: () => warden.isLeaseLive,
      reserve,
      onLogin: () => admission.known(place),
      onProof: () => admission.proved(place),
      onMisdeed: (misdeed) => {
        if (!selfTest.isOwn(reader.socket)) admission.punish(source.address, misdeed);
      },
      onClosed: (_connection, words) => {
        clients.left(connection, words);
        admission.leave(place);
      },
    });
    place.onEvicted = (by) =>
      connection.fail(
        by === 'network'
          ? 'its place was given to a connection from another network'
          : 'its place was given to a newer connection',
        'no-login',
      );
    clients.open.add(connection);
  }
}
