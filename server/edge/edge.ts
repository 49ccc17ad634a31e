// Owns: starting and stopping one edge process, and its drain.
// Must never: listen before the warden has accepted this node's `node.hello`.
import { type Config, type EdgeConfig, runtimePaths } from '../config/config.ts';
import { transfersMs } from '../config/stop-times.ts';
import { detach } from '../domain/detached.ts';
import { idOf, type NodeName } from '../domain/ids.ts';
import { stopsWith } from '../domain/lifetimes.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { serveMetrics } from '../observability/metrics.ts';
import { checkOwnBuffer } from '../rpc/own-buffer-check.ts';
import { Admission } from './accept/admission.ts';
import { Activity } from './activity.ts';
import { Clients } from './clients.ts';
import { Drain } from './drain.ts';
import { edgeReadings } from './edge-metrics.ts';
import { Reception } from './reception.ts';
import type { EdgeNode } from './seam/sftp-seam.ts';
import { SelfTest } from './self-test/self-test.ts';
import { createSftp } from './sftp/session.ts';
import { BufferReserve } from './transport/buffer-reserve.ts';
import { checkOwnPackets } from './transport/own-packets-check.ts';
import { hasNativeCipher, readyCore } from './transport/ssh2-core.ts';
import { WardenClient } from './warden-client/warden-client.ts';

const firstHelloMs = 20_000;
/**
 * How long an edge waits, when its warden is about to stop, for logins and key exchanges that are half done;
 * milliseconds.
 */
const unsettledMs = 2000;

/** A running edge. `over` resolves when an ordered drain has ended the work of this process. */
export type RunningEdge = { readonly over: Promise<void>; stop(): Promise<void> };

/** Tells the log which of two ways is used; the slower one is a warning. */
function said<T extends { readonly isOwn: boolean; readonly text: string }>(log: Logger, way: T): T {
  if (way.isOwn) log.info(way.text);
  else log.warn(way.text);
  return way;
}

/** Starts one edge and resolves when it listens. What was started is stopped again when the start fails. */
export async function startEdge(config: Config, edge: EdgeConfig): Promise<RunningEdge> {
  await using starting = new AsyncDisposableStack();
  const log = createLogger(config, 'edge', edge.node);
  const node: EdgeNode = { node: idOf<NodeName>(edge.node), limits: config.limits, paths: runtimePaths(config), log };
  await readyCore(config.allowSlowCipher);
  const { isOwn: readsOwn } = said(log, await checkOwnBuffer());
  said(log, checkOwnPackets());
  const clients = new Clients(log);
  const activity = new Activity(clients.open);
  const drain = new Drain(clients.open, clients.lastWords, log);
  const admission = new Admission(config.limits, [...config.penaltyExempt, ...edge.balancers]);
  const reserve = new BufferReserve(config.limits.bufferBytesMax);
  const sftp = stopsWith(starting, createSftp(node));
  let isServing = false;
  const warden = new WardenClient(node, config.shares.edge.calls, {
    terminated: (session, reason) => clients.terminate(session, reason),
    active: () => activity.due(),
    drain: (withinMs) => {
      // An edge that is still starting finishes its start first. The
      // order is not lost: the next renewal of the lease brings it again.
      if (!isServing) return;
      if (!drain.isOrdered) {
        reception.refuse();
        detach(selfTest.stop(), (error) => log.error({ err: error }, 'the self-test did not stop'));
      }
      drain.order(withinMs);
    },
    leaving: () => clients.settled(unsettledMs),
    leaseChanged: (isLive) => {
      if (isLive) clients.resume();
    },
    sessionCount: () => clients.open.size,
    hasNativeCipher,
  });
  stopsWith(starting, warden);
  const { banner } = await warden.start(firstHelloMs);
  const index = config.edges.findIndex((one) => one.node === edge.node);
  const readings = () => edgeReadings({ clients, admission, reserve, warden });
  stopsWith(starting, await serveMetrics(config.metrics.edgePorts[index] ?? null, readings));
  // What was registered last stops first: the listener, the self-test, whose connections count among the others, and
  // then all clients.
  starting.defer(() => clients.end(transfersMs(config.limits)));
  const selfTest = stopsWith(
    starting,
    new SelfTest({ node, edge, warden, hostKeys: () => warden.hostKeys.map((key) => key.blob) }),
  );
  stopsWith(starting, drain);
  const reception = stopsWith(
    starting,
    new Reception({
      node,
      edge,
      warden,
      banner,
      clients,
      admission,
      reserve,
      readsOwn,
      startSftp: sftp.start,
      selfTest,
    }),
  );
  await reception.listen();
  log.info({ host: edge.host, port: edge.port, plane: edge.plane, profile: edge.profile }, 'edge is listening');
  isServing = true;
  const started = starting.move();
  return {
    over: drain.over,
    stop: async () => {
      await started.disposeAsync();
      log.info('edge stopped');
    },
  };
}
