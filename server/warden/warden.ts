// Owns: the warden process: database, keys, recovery, and then one socket for each edge node.
// Must never: listen on a network address, or believe what a node says about its identity. The identity of a node is
// the socket through which it came.
import type { Socket } from 'node:net';
import { type Config, type EdgeConfig, runtimePaths } from '../config/config.ts';
import { wardenConnections } from '../config/shares.ts';
import { held } from '../domain/detached.ts';
import { idOf, type NodeName } from '../domain/ids.ts';
import type { Draft } from '../domain/ledger/births.ts';
import { stopsWith } from '../domain/lifetimes.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { type Reading, serveMetrics } from '../observability/metrics.ts';
import { Database, type Transaction } from '../postgres/database.ts';
import { assertSafeSettings } from '../postgres/migrate.ts';
import { roleUrl } from '../postgres/role-url.ts';
import { edgeToWarden, wardenToEdge } from '../rpc/edge-warden.ts';
import { Peer } from '../rpc/peer.ts';
import type { Release } from '../rpc/slots.ts';
import { type Listening, listenOn } from '../rpc/unix-listener.ts';
import { AlertLog } from './alerts/sinks/log-sink.ts';
import { Logins } from './authentication/login.ts';
import { type Charges, type Charging, createCharges } from './budgets/charges.ts';
import { completeBudgets } from './budgets/create-budgets.ts';
import type { EdgeCaller } from './callers/edge-caller.ts';
import { claimOf, doorOf, placeFor, type WardenSlots, wardenSlots } from './callers/shares.ts';
import { changeUseCases } from './changes/changes.ts';
import { startCommands } from './commands/queue.ts';
import { settingsOf } from './context/context.ts';
import { assertNoDemoOutsideLoopback, demoUseCasesOf } from './demo/demo-commands.ts';
import { Exchanges } from './exchanges/exchanges.ts';
import { edgeHandlers } from './handlers.ts';
import { loadHostKeys, publicLine } from './keys/key-files.ts';
import { publishReceiptKey } from './keys/key-queries.ts';
import { createKeyRing } from './keys/key-ring.ts';
import { createBirths } from './ledger/born.ts';
import { Forwards } from './ledger/forward/forwards.ts';
import { LedgerGuard } from './ledger/guard.ts';
import { Ledger } from './ledger/ledger.ts';
import { startRecordPasses } from './ledger/record-passes.ts';
import { identify } from './ledger/seal-queries.ts';
import { requireOwnDisks } from './ledger/witness/same-disk.ts';
import { createWitnesses } from './ledger/witness/witnesses.ts';
import { UsedAllowances } from './nodes/allowances.ts';
import { Nodes } from './nodes/nodes.ts';
import { serveBootstrap } from './operators/bootstrap.ts';
import { Turns } from './passes/turns.ts';
import { startRegularPasses } from './regular-passes.ts';
import { CatalogueWatch } from './seals/catalogue-watch.ts';
import { generationsOf } from './seals/generations.ts';
import { followResealed } from './seals/resealed-elsewhere.ts';
import { sealing } from './seals/seals.ts';
import { endedElsewhere } from './sessions/ended-elsewhere.ts';
import { SessionRegistry } from './sessions/sessions.ts';
import { StoreClient, type Storing } from './store/store-client.ts';
import { recover } from './transfers/recovery.ts';
import { type Batching, createTransferBatches } from './transfers/transfer-batches.ts';
import { useCasesOf } from './use-cases.ts';

/**
 * A running warden. `closed` is the reason why nothing was served when the start was complete; undefined when the
 * service is open.
 */
export type RunningWarden = {
  readonly warden: Charging & Storing;
  readonly guard: LedgerGuard;
  readonly closed: string | undefined;
  stop(): Promise<void>;
};

/** How long a start waits for the store, in milliseconds. Without it, everything but large files is served. */
const storeStartMs = 5000;

type Served = {
  readonly nodes: Nodes;
  readonly exchanges: Exchanges;
  readonly logins: Logins;
  readonly charges: Charges;
};
/** Returns what is measured of the work for edges. */
const servedMetrics = ({ nodes, exchanges, logins, charges }: Served): readonly Reading[] => [
  { name: 'warden_edges', help: 'Edges connected.', kind: 'gauge', value: nodes.connectedCount },
  { name: 'warden_key_exchanges_total', help: 'Key exchanges signed.', kind: 'counter', value: exchanges.signed },
  {
    name: 'warden_passwords_waiting',
    help: 'Passwords waiting to be hashed.',
    kind: 'gauge',
    value: logins.passwordsWaiting,
  },
  { name: 'warden_grants_waiting', help: 'Grants waiting for their batch.', kind: 'gauge', value: charges.waiting() },
];

/**
 * Makes the database, the record, and what they share. The database is neither read nor written yet, and nothing is
 * served. Throws `configuration`.
 */
function makeBase(starting: AsyncDisposableStack, config: Config, log: Logger) {
  requireOwnDisks(config, log);
  const keys = createKeyRing(config);
  const hostKeys = loadHostKeys(config);
  const url = roleUrl(config, 'warden');
  const guard = new LedgerGuard();
  const births = createBirths(config.limits);
  const drafts = (): Draft => births.begin();
  const admit = async (tx: Transaction): Promise<void> => {
    const { known } = guard;
    guard.admit(await identify(tx), known);
  };
  const alerts = new AlertLog(log);
  const turns = new Turns();
  const slots = wardenSlots(config.shares.warden);
  /** What is still ending while everything else is stopped. */
  const lateEnds: Promise<void>[] = [];
  starting.defer(async () => void (await Promise.all(lateEnds)));
  const database = new Database({
    url,
    applicationName: 'cofferdam warden',
    connectionsMax: wardenConnections(config.shares.warden),
    admission: () => placeFor(slots),
    admit,
    drafts,
    alerts: alerts.hear,
    isPreparing: true,
    onUnreachable: (cause) => log.error({ err: cause }, 'no connection to the database'),
  });
  starting.defer(() => database.close());
  const memoryFile = runtimePaths(config).recordMemory;
  const witnesses = createWitnesses(config.ledger);
  const ledger = stopsWith(
    starting,
    new Ledger({ config, url, keys, guard, births, witnesses, memoryFile, log, alerts: alerts.hear, turns }),
  );
  const forwards = stopsWith(
    starting,
    new Forwards({ config, url, log, alerts: alerts.hear, newest: () => ledger.newest }),
  );
  const catalogue = new CatalogueWatch(database, log);
  return {
    config,
    log,
    keys,
    hostKeys,
    url,
    guard,
    drafts,
    admit,
    alerts,
    turns,
    slots,
    lateEnds,
    database,
    ledger,
    forwards,
    catalogue,
  };
}
type Base = ReturnType<typeof makeBase>;

/** Examines the database, compares it with the witness, and then writes what every start completes. */
async function examine({ config, keys, database, ledger, catalogue }: Base): Promise<void> {
  await database.withSystem((tx) => assertSafeSettings(tx));
  await catalogue.require();
  // Before anything is written, the database is compared with the witness: is it the one that was witnessed?
  await ledger.start();
  await database.withSystem((tx) => generationsOf(keys).refresh(tx));
  await database.withSystem(async (tx) => {
    await sealing(tx, { keys, database }, { maker: 'start', change: () => null }, () =>
      completeBudgets(tx, keys, config.budgets),
    );
    await publishReceiptKey(tx, keys.receiptPublicKey.id, keys.receiptPublicKey.pem);
  });
}

/** Makes what serves the calls of edges, and recovers what an earlier run left behind. */
async function makeParts(starting: AsyncDisposableStack, base: Base) {
  const { config, log, keys, hostKeys, guard, drafts, admit, slots, database } = base;
  const nodes = new Nodes(database, base.turns);
  const sessions = new SessionRegistry(config, database, keys, nodes, log);
  const charges = stopsWith(
    starting,
    createCharges({ config, database, sessions, log, admit, drafts, grants: slots.grants }),
  );
  const batches = stopsWith(starting, createTransferBatches({ config, admit, drafts, grants: slots.grants }));
  const hostKeyLines = hostKeys.filter((key) => key.inUse).map(publicLine);
  const store = stopsWith(
    starting,
    new StoreClient(runtimePaths(config).storeControlSocket, keys.storeKey, config.limits.wardenRetryMs, log),
  );
  await store.start(storeStartMs);
  const warden: Charging & Storing & Batching = {
    ...settingsOf(config),
    log,
    database,
    keys,
    hostKeyLines,
    sessions,
    charges,
    store,
    batches,
  };
  await assertNoDemoOutsideLoopback(warden);
  await recover(warden, guard);
  const exchanges = stopsWith(starting, new Exchanges(config, hostKeys, slots));
  const { dayMs } = config.credentials;
  const allowances = new UsedAllowances(config.perNode, database, {
    payerOf: (token, caller) => sessions.payerOf(token, caller),
    dayMs,
  });
  const startIdOf = (caller: EdgeCaller): string => nodes.startIdOf(caller);
  const logins = stopsWith(
    starting,
    new Logins({ config, database, keys, sessions, exchanges, slots, allowances, startIdOf }),
  );
  return { warden, store, nodes, sessions, charges, exchanges, allowances, logins };
}
type Parts = Awaited<ReturnType<typeof makeParts>>;

/**
 * Starts what the warden does without being asked by an edge: regular passes, commands, and news from other processes.
 */
async function startOwnWork(
  starting: AsyncDisposableStack,
  base: Base,
  { warden, nodes, sessions }: Parts,
): Promise<void> {
  const { config, log, url, guard, drafts, alerts, turns, lateEnds, database, ledger, catalogue } = base;
  stopsWith(starting, startRegularPasses({ warden, guard, sessions, alerts, catalogue, turns }));
  stopsWith(starting, await followResealed(warden));
  const recordPasses = startRecordPasses({
    config: config.ledger,
    url,
    log,
    drafts,
    alerts: alerts.hear,
    turns,
    mayWork: () => ledger.isLeading && guard.state.is === 'open',
  });
  // Archiving a month may take a long time, so everything else is stopped while that pass ends.
  starting.defer(() => void lateEnds.push(held(recordPasses.stop())));
  stopsWith(starting, await serveBootstrap(warden));
  const useCases = {
    sessions,
    guard,
    useCases: useCasesOf(guard),
    changes: changeUseCases,
    demo: demoUseCasesOf(warden),
    turns,
  };
  stopsWith(starting, await startCommands(warden, useCases));
  const elsewhere = stopsWith(starting, endedElsewhere(warden, nodes, sessions));
  starting.defer(await database.listen('cofferdam_ended', elsewhere.hear, () => sessions.forgetAll()));
}

/** Listens for every edge. */
async function serveEdges(starting: AsyncDisposableStack, { config, guard, slots }: Base, parts: Parts): Promise<void> {
  const { warden, nodes } = parts;
  const handlers = edgeHandlers(warden, { guard, ...parts });
  const { wardenSocket } = runtimePaths(config);
  const sockets: Listening[] = [];
  for (const edge of config.edges)
    sockets.push(
      stopsWith(
        starting,
        await listen(wardenSocket(edge.node), edge, slots, (socket, caller) =>
          serve(socket, caller, { nodes, handlers, slots, warden }),
        ),
      ),
    );
  // Edges are told before their connections end, so that they ask the next warden.
  starting.defer(async () => {
    for (const socket of sockets) socket.refuse();
    await nodes.leave();
  });
}

/**
 * Starts the warden and resolves when every socket listens. Throws `configuration` before an edge can reach it. What
 * was started is stopped again when the start fails.
 */
export async function startWarden(config: Config): Promise<RunningWarden> {
  await using starting = new AsyncDisposableStack();
  const log = createLogger(config, 'warden');
  const base = makeBase(starting, config, log);
  const { guard, alerts, turns, ledger, forwards, catalogue } = base;
  await examine(base);
  const parts = await makeParts(starting, base);
  const readings = () => [
    ...servedMetrics(parts),
    ...[catalogue, alerts, turns, ledger, forwards].flatMap((one) => one.metrics),
  ];
  stopsWith(starting, await serveMetrics(config.metrics.wardenPort, readings));
  await startOwnWork(starting, base, parts);
  await serveEdges(starting, base, parts);
  // First of all, because calls of edges and passes are waited for, which may wait for the store.
  starting.defer(() => parts.store.leave());
  log.info({ nodes: config.edges.map((edge) => edge.node) }, 'warden serves');
  const started = starting.move();
  return {
    warden: parts.warden,
    guard,
    closed: guard.state.is === 'open' ? undefined : guard.state.text,
    stop: async () => {
      await started.disposeAsync();
      log.info('warden stopped');
    },
  };
}

type Serving = {
  readonly nodes: Nodes;
  readonly handlers: ReturnType<typeof edgeHandlers>;
  readonly slots: WardenSlots;
  readonly warden: Charging & Storing;
};

function serve(socket: Socket, caller: EdgeCaller, { nodes, handlers, slots, warden }: Serving): void {
  // An honest edge checks what it sends. This one runs another program, or has been taken over.
  const tell = (what: string): void =>
    warden.log.error({ node: caller.node, what }, 'an edge sent a malformed message');
  const peer = new Peer({
    stream: socket,
    serves: edgeToWarden,
    handlers,
    calls: wardenToEdge,
    door: doorOf(slots, caller, tell),
    onClose: (reason) => {
      nodes.detach(caller.node, peer);
      warden.log.info({ node: caller.node, reason: reason.message }, 'edge disconnected');
    },
    onBug: (op, error) => warden.log.error({ op, err: error }, 'defect in a handler'),
  });
  nodes.attach(caller.node, peer);
}

/**
 * Takes a place for a connection of this node, or destroys the socket when there is none. A node needs one place, and
 * further ones while earlier connections that are dead have not been closed yet.
 */
function placeOrEnd(socket: Socket, caller: EdgeCaller, { connections }: WardenSlots): Release | undefined {
  try {
    return connections.take(claimOf(caller));
  } catch {
    socket.destroy();
    return undefined;
  }
}

/** Listens for one edge. The connections of a node share its places. */
function listen(
  path: string,
  edge: EdgeConfig,
  slots: WardenSlots,
  onConnect: (socket: Socket, caller: EdgeCaller) => void,
): Promise<Listening> {
  const caller: EdgeCaller = { node: idOf<NodeName>(edge.node), plane: edge.plane };
  return listenOn(path, slots.connections.share.total, (socket) => {
    const release = placeOrEnd(socket, caller, slots);
    if (release === undefined) return;
    socket.once('close', () => release());
    onConnect(socket, caller);
  });
}
