// Owns: one edge process: its listener, its connections and its drain.
// Must never: listen before the warden has accepted this node's `node.hello`.
import { createServer, type Server, type Socket } from 'node:net';
import type { Config, EdgeConfig } from '../config/config.ts';
import { lastWordsMs, transfersMs } from '../config/stop-times.ts';
import { parseNetwork } from '../domain/addresses.ts';
import { profiles } from '../domain/algorithms.ts';
import { detach } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type NodeName } from '../domain/ids.ts';
import { createLogger } from '../observability/logger.ts';
import { serveMetrics } from '../observability/metrics.ts';
import { Admission, type Place } from './accept/admission.ts';
import { whenSourceKnown } from './accept/balanced.ts';
import type { ProxySource } from './accept/proxy-protocol.ts';
import { Activity } from './activity.ts';
import { startConsole } from './console/console.ts';
import { Drain } from './drain.ts';
import { SelfTest } from './self-test/self-test.ts';
import { createSftp } from './sftp/session.ts';
import type { EdgeNode } from './sftp-seam.ts';
import { makeOffers } from './transport/algorithms.ts';
import { BufferReserve } from './transport/buffer-reserve.ts';
import { Connection } from './transport/connection.ts';
import { hasNativeCipher, readyCore } from './transport/ssh2-core.ts';
import { exchangeSigner } from './warden-client/exchange-signer.ts';
import { WardenClient } from './warden-client/warden-client.ts';

const firstHelloMs = 20_000;
/** How long an edge waits, when its warden is about to stop, for logins and key exchanges that are half done; milliseconds. */
const unsettledMs = 2000;

/** A running edge. `over` resolves when an ordered drain has ended the work of this process. */
export type RunningEdge = { readonly over: Promise<void>; stop(): Promise<void> };

export async function startEdge(config: Config, edge: EdgeConfig): Promise<RunningEdge> {
  const log = createLogger(config, 'edge', edge.node);
  const node: EdgeNode = { config, log, node: idOf<NodeName>(edge.node) };
  await readyCore(config.allowSlowCipher);
  const connections = new Set<Connection>();
  const lastWords = new Set<Promise<void>>();
  const activity = new Activity(connections);
  const drain = new Drain(connections, lastWords, log);
  let isServing = false;
  let isDraining = false;
  let sockets = 0;
  const admission = new Admission(config.limits, [...config.penaltyExempt, ...edge.balancers]);
  const reserve = new BufferReserve(config.limits.bufferBytesMax);
  const balancers = edge.balancers.map(parseNetwork).filter((network) => network !== undefined);
  const profile = profiles[edge.profile];
  const warden = new WardenClient(node, {
    terminated: (session, reason) => {
      for (const connection of connections) if (connection.session?.id === session) connection.end(reason);
    },
    active: () => activity.due(),
    drain: (withinMs) => {
      // An edge that is still starting finishes its start first. The
      // order is not lost: the next renewal of the lease brings it again.
      if (!isServing) return;
      if (!isDraining) {
        isDraining = true;
        server.close();
        detach(selfTest.stop(), (error) => log.error({ err: error }, 'the self-test did not stop'));
      }
      drain.order(withinMs);
    },
    leaving: () => until(unsettledMs, () => ![...connections].some((connection) => connection.isUnsettled)),
    leaseChanged: (isLive) => {
      if (isLive) for (const connection of connections) connection.resume();
    },
    sessionCount: () => connections.size,
    hasNativeCipher,
  });
  const hello = await warden.start(firstHelloMs);
  const sftp = createSftp(node);
  const exchange = exchangeSigner(warden);
  const offerFor = makeOffers(profile, exchange.hostKeysInUse());

  const begin = (socket: Socket, source: ProxySource): void => {
    const place = isDraining ? 'draining' : admission.enter(source.address);
    if (typeof place === 'string') {
      socket.destroy();
      return;
    }
    if (warden.isReady) return connect(socket, source, place);
    // Without a warden nobody can sign the key exchange. The connection keeps its place, unread, until there is a warden.
    socket.pause();
    place.onEvicted = () => socket.destroy();
    const connected = warden
      .whenReady()
      .catch(() => socket.destroy())
      .then(() => {
        if (socket.destroyed || isDraining) {
          socket.destroy();
          admission.leave(place);
        } else connect(socket, source, place);
      });
    detach(connected, (error) => {
      log.error({ err: error }, 'defect while accepting a connection');
      socket.destroy();
    });
  };
  const connect = (socket: Socket, source: ProxySource, place: Place): void => {
    const connection: Connection = new Connection({
      socket,
      node,
      source,
      profile,
      exchange,
      offerFor,
      banner: hello.banner,
      warden,
      startSftp: sftp.start,
      startConsole,
      isLeaseLive: () => warden.isLeaseLive,
      reserve,
      onLogin: () => admission.known(place),
      onMisdeed: (misdeed) => {
        if (!selfTest.isOwn(socket)) admission.punish(source.address, misdeed);
      },
      onClosed: (_connection, words) => {
        connections.delete(connection);
        admission.leave(place);
        lastWords.add(words);
        detach(
          words.finally(() => lastWords.delete(words)),
          (error) => log.error({ err: error }, 'defect while ending a connection'),
        );
      },
    });
    place.onEvicted = () => connection.fail('its place was given to a connection from another network', 'no-login');
    connections.add(connection);
  };
  const accept = (socket: Socket): void => {
    socket.on('error', () => {});
    if (isDraining || sockets >= config.limits.connectionsMax + config.limits.unauthenticatedConnectionsMax) {
      socket.destroy();
      return;
    }
    sockets += 1;
    socket.once('close', () => (sockets -= 1));
    whenSourceKnown(socket, balancers, (source) => begin(socket, source));
  };
  const selfTest = new SelfTest({ node, edge, warden, hostKeys: () => warden.hostKeys.map((key) => key.blob) });
  const sweep = setInterval(() => admission.sweep(), 10_000);
  const server: Server = createServer({ noDelay: true, highWaterMark: 256 * 1024 }, accept);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new CofferdamError('configuration', `cannot listen on ${edge.host}:${edge.port}`, { cause })));
    server.listen({ host: edge.host, port: edge.port, backlog: 511 }, resolve);
  });
  const index = config.edges.findIndex((one) => one.node === edge.node);
  const metrics = await serveMetrics(config.metrics.edgePorts[index] ?? null, () => [
    { name: 'edge_connections', help: 'Open connections.', kind: 'gauge', value: connections.size },
    {
      name: 'edge_sessions',
      help: 'Logged-in connections.',
      kind: 'gauge',
      value: [...connections].filter((one) => one.session !== undefined).length,
    },
    {
      name: 'edge_transferring',
      help: 'Connections with an open channel.',
      kind: 'gauge',
      value: [...connections].filter((one) => one.isTransferring).length,
    },
    { name: 'edge_accepted_total', help: 'Connections accepted.', kind: 'counter', value: admission.verdicts.admitted },
    ...Object.entries(admission.verdicts)
      .filter(([verdict]) => verdict !== 'admitted')
      .map(([verdict, value]) => ({
        name: `edge_turned_away_${verdict.replaceAll('-', '_')}_total`,
        help: 'Connections refused before the SSH handshake.',
        kind: 'counter' as const,
        value,
      })),
    {
      name: 'edge_evicted_total',
      help: 'Connections without a login that were ended in favour of other networks.',
      kind: 'counter',
      value: admission.evicted,
    },
    { name: 'edge_strangers', help: 'Connections that have not logged in.', kind: 'gauge', value: admission.strangers },
    { name: 'edge_window_bytes', help: 'Bytes of granted receive windows.', kind: 'gauge', value: reserve.totals.windows },
    { name: 'edge_early_bytes', help: 'Bytes of writes received ahead of their offset.', kind: 'gauge', value: reserve.totals.early },
    { name: 'edge_reply_bytes', help: 'Bytes of replies under way or unsent.', kind: 'gauge', value: reserve.totals.replies },
    { name: 'edge_upload_bytes', help: 'Bytes of segments on their way into the store.', kind: 'gauge', value: reserve.totals.uploads },
    { name: 'edge_segment_bytes', help: 'Bytes of decrypted segments kept in memory.', kind: 'gauge', value: reserve.totals.segments },
    { name: 'edge_penalised_sources', help: 'Sources with a running penalty.', kind: 'gauge', value: admission.penalised },
    { name: 'edge_lease_live', help: '1 while the warden renews the lease.', kind: 'gauge', value: warden.isLeaseLive ? 1 : 0 },
  ]);
  log.info({ host: edge.host, port: edge.port, plane: edge.plane, profile: profile.name }, 'edge is listening');
  isServing = true;
  const isQuiet = (): boolean => ![...connections].some((connection) => connection.isTransferring);
  return {
    over: drain.over,
    stop: async () => {
      isDraining = true;
      server.close();
      clearInterval(sweep);
      drain.stop();
      await selfTest.stop();
      await until(transfersMs(config.limits), isQuiet);
      for (const connection of connections) connection.end('drained');
      // After its socket has closed, each connection reports the end of its session to
      // the warden, and each upload is interrupted with all bytes that were acknowledged.
      await until(lastWordsMs, () => connections.size + lastWords.size === 0);
      warden.stop();
      await sftp.stop();
      await metrics.stop();
      log.info('edge stopped');
    },
  };
}

/** Resolves when `isSo` returns true, or after `waitMs` milliseconds. `isSo` is asked every 50 ms. */
async function until(waitMs: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!isSo() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
}
