// Owns: one edge process: the listener, its connections, drain.
// Must never: listen before the warden has greeted this node.
import { createServer, type Server, type Socket } from 'node:net';
import type { Config, EdgeConfig } from '../config/config.ts';
import { canonicalAddress } from '../domain/addresses.ts';
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type NodeName } from '../domain/ids.ts';
import { createLogger } from '../observability/logger.ts';
import { serveMetrics } from '../observability/metrics.ts';
import { createSftp } from './sftp/session.ts';
import type { EdgeNode } from './sftp-seam.ts';
import { makeHostKeys, makeOffers } from './transport/algorithms.ts';
import { Connection } from './transport/connection.ts';
import { readyCore } from './transport/ssh2-core.ts';
import { WardenClient } from './warden-client/warden-client.ts';

const firstHelloMs = 20_000;

export async function startEdge(config: Config, edge: EdgeConfig): Promise<{ stop(): Promise<void> }> {
  const log = createLogger(config, 'edge', edge.node);
  const node: EdgeNode = { config, log, node: idOf<NodeName>(edge.node) };
  await readyCore(config.allowSlowCipher);
  const connections = new Set<Connection>();
  let isDraining = false;
  let accepted = 0;
  let turnedAway = 0;
  const warden = new WardenClient(node, {
    terminated: (session) => {
      for (const connection of connections) if (connection.session?.id === session) connection.end('revoked');
    },
    drain: () => {
      isDraining = true;
      server.close();
    },
    leaseChanged: (isLive) => {
      if (isLive) for (const connection of connections) connection.resume();
    },
    sessionCount: () => connections.size,
  });
  const hello = await warden.start(firstHelloMs);
  const sftp = createSftp(node);
  const hostKeys = makeHostKeys(hello.hostKeys);
  const offerFor = makeOffers(hello.hostKeys);

  const accept = (socket: Socket): void => {
    if (isDraining || !hasRoom(connections, socket, config)) {
      turnedAway += 1;
      socket.destroy();
      return;
    }
    accepted += 1;
    connections.add(
      new Connection({
        socket,
        node,
        hostKeys,
        offerFor,
        banner: hello.banner,
        warden,
        startSftp: sftp.start,
        isLeaseLive: () => warden.isLeaseLive,
        onClosed: (connection) => connections.delete(connection),
      }),
    );
  };
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
    { name: 'edge_accepted_total', help: 'Connections accepted.', kind: 'counter', value: accepted },
    { name: 'edge_turned_away_total', help: 'Connections refused for want of room.', kind: 'counter', value: turnedAway },
    { name: 'edge_lease_live', help: '1 while the warden renews the lease.', kind: 'gauge', value: warden.isLeaseLive ? 1 : 0 },
  ]);
  log.info({ host: edge.host, port: edge.port, plane: edge.plane }, 'edge serves');
  return {
    stop: async () => {
      isDraining = true;
      server.close();
      await drained(connections, config.limits.drainMs / 2);
      for (const connection of connections) connection.end('drained');
      await drained(connections, 2000);
      // The last words of closed sessions are still on their way to the warden.
      await new Promise((resolve) => setTimeout(resolve, 100));
      warden.stop();
      await sftp.stop();
      await metrics.stop();
      log.info('edge stopped');
    },
  };
}

/** Bounds on all connections and on those that have not logged in, in all and per source. */
function hasRoom(connections: ReadonlySet<Connection>, socket: Socket, { limits }: Config): boolean {
  if (connections.size >= limits.connectionsMax) return false;
  const address = canonicalAddress(socket.remoteAddress ?? '');
  let strangers = 0;
  let fromSource = 0;
  for (const connection of connections) {
    if (connection.session !== undefined) continue;
    strangers += 1;
    if (connection.source.address === address) fromSource += 1;
  }
  return strangers < limits.unauthenticatedConnectionsMax && fromSource < limits.unauthenticatedPerSourceMax;
}

/** Waits until no connection has an open channel, or `waitMs` are over. */
async function drained(connections: ReadonlySet<Connection>, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  while ([...connections].some((connection) => connection.isTransferring) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
}
