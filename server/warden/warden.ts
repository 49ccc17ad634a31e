// Owns: the warden process: database, keys, recovery, and then one socket for each edge node.
// Must never: listen on a network address, or believe what a node says about its identity. The identity of a node is
// the socket through which it came.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Config, type EdgeConfig, runtimePaths } from '../config/config.ts';
import { wardenConnections } from '../config/shares.ts';
import { closedMs } from '../domain/bounded.ts';
import { held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type NodeName } from '../domain/ids.ts';
import type { Draft } from '../domain/ledger/births.ts';
import { createLogger } from '../observability/logger.ts';
import { serveMetrics } from '../observability/metrics.ts';
import { Database, type Transaction } from '../postgres/database.ts';
import { assertSafeSettings } from '../postgres/migrate.ts';
import { roleUrl } from '../postgres/role-url.ts';
import { edgeToWarden, wardenToEdge } from '../rpc/edge-warden.ts';
import { Peer } from '../rpc/peer.ts';
import type { Release } from '../rpc/slots.ts';
import { AlertLog } from './alerts/log-sink.ts';
import { Logins } from './authentication/login.ts';
import { createCharges } from './budgets/charges.ts';
import { completeBudgets } from './budgets/create-budgets.ts';
import { serveBootstrap } from './changes/bootstrap.ts';
import { CatalogueWatch } from './changes/catalogue-watch.ts';
import { generationsOf } from './changes/generations.ts';
import { startSealSweeps } from './changes/seal-sweeps.ts';
import { sealing } from './changes/seals.ts';
import { startCommands } from './commands/commands.ts';
import { assertNoDemoOutsideLoopback } from './commands/demo.ts';
import type { EdgeCaller, Warden } from './context.ts';
import { startCredentialSweeps } from './credentials/credential-sweeps.ts';
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
import { NodeAccounts } from './nodes/allowances.ts';
import { Nodes } from './nodes/nodes.ts';
import { endedElsewhere } from './sessions/ended-elsewhere.ts';
import { SessionRegistry } from './sessions/sessions.ts';
import { claimOf, doorOf, placeFor, type WardenSlots, wardenSlots } from './shares.ts';
import { recover } from './transfers/recovery.ts';
import { startTransferSweeps } from './transfers/sweeps.ts';

/**
 * A running warden. `closed` is the reason why nothing was served when the start was complete; undefined when the
 * service is open.
 */
export type RunningWarden = { readonly warden: Warden; readonly closed: string | undefined; stop(): Promise<void> };

/**
 * Starts the warden and resolves when every socket listens. Throws `configuration` before any socket can be reached.
 */
export async function startWarden(config: Config): Promise<RunningWarden> {
  const log = createLogger(config, 'warden');
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
  const slots = wardenSlots(config.shares.warden);
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
  const memoryFile = runtimePaths(config).recordMemory;
  const witnesses = createWitnesses(config.ledger);
  const ledger = new Ledger({ config, url, keys, guard, births, witnesses, memoryFile, log, alerts: alerts.hear });
  const forwards = new Forwards({ config, url, log, alerts: alerts.hear, newest: () => ledger.newest });
  try {
    await database.withSystem((tx) => assertSafeSettings(tx));
    const catalogue = new CatalogueWatch(database, log);
    await catalogue.require();
    // Before anything is written, the database is compared with the witness: is it the one that was witnessed?
    await ledger.start();
    await database.withSystem((tx) => generationsOf(keys).refresh(tx));
    await database.withSystem(async (tx) => {
      await sealing(tx, { keys, database }, { maker: 'start', change: () => null }, () => completeBudgets(tx, keys, config.budgets));
      await publishReceiptKey(tx, keys.receiptPublicKey.id, keys.receiptPublicKey.pem);
    });
    const nodes = new Nodes(database);
    const sessions = new SessionRegistry(config, database, keys, nodes, log);
    const charges = createCharges({ config, database, sessions, log, admit, drafts, grants: slots.grants });
    const warden: Warden = {
      config,
      log,
      database,
      guard,
      keys,
      sessions,
      charges,
      edges: nodes,
      hostKeyLines: hostKeys.filter((key) => key.inUse).map(publicLine),
    };
    await assertNoDemoOutsideLoopback(warden);
    await recover(warden);
    const exchanges = new Exchanges(config, hostKeys, slots);
    const { dayMs } = config.credentials;
    const accounts = new NodeAccounts(config.perNode, database, { payerOf: (token, caller) => sessions.payerOf(token, caller), dayMs });
    const startIdOf = (caller: EdgeCaller): string => nodes.startIdOf(caller);
    const logins = new Logins({ config, database, keys, sessions, exchanges, slots, accounts, startIdOf });
    const sweeps = startTransferSweeps(warden, alerts);
    const credentialSweeps = startCredentialSweeps(warden, sessions);
    const sealSweeps = await startSealSweeps(warden, sessions, catalogue);
    const recordPasses = startRecordPasses({
      config: config.ledger,
      url,
      log,
      drafts,
      alerts: alerts.hear,
      mayWork: () => ledger.isLeading && guard.state.is === 'open',
    });
    const bootstrap = await serveBootstrap(warden);
    const commands = await startCommands(warden, sessions);
    const elsewhere = endedElsewhere(warden, nodes, sessions);
    const stopListening = await database.listen('cofferdam_ended', elsewhere.hear, () => sessions.forgetAll());
    const handlers = edgeHandlers(warden, { nodes, logins, sessions, exchanges, accounts });
    const sockets = await Promise.all(
      config.edges.map((edge) =>
        listen(config, edge, slots, (socket, caller) => serve(socket, caller, { nodes, handlers, slots, warden })),
      ),
    );
    const metrics = await serveMetrics(config.metrics.wardenPort, () => [
      { name: 'warden_edges', help: 'Edges connected.', kind: 'gauge', value: nodes.connectedCount },
      { name: 'warden_key_exchanges_total', help: 'Key exchanges signed.', kind: 'counter', value: exchanges.signed },
      { name: 'warden_passwords_waiting', help: 'Passwords waiting to be hashed.', kind: 'gauge', value: logins.passwordsWaiting },
      { name: 'warden_grants_waiting', help: 'Grants waiting for their batch.', kind: 'gauge', value: charges.waiting() },
      ...catalogue.metrics,
      ...alerts.metrics,
      ...ledger.metrics,
      ...forwards.metrics,
    ]);
    log.info({ nodes: config.edges.map((edge) => edge.node) }, 'warden serves');
    return {
      warden,
      closed: guard.state.is === 'open' ? undefined : guard.state.text,
      stop: async () => {
        for (const socket of sockets) socket.refuse();
        await nodes.leave();
        for (const socket of sockets) await socket.stop();
        logins.stop();
        exchanges.stop();
        sessions.stop();
        await sweeps.stop();
        await credentialSweeps.stop();
        await sealSweeps.stop();
        // Archiving a month may take a long time, so everything else is stopped while that pass ends.
        const passesEnd = held(recordPasses.stop());
        await bootstrap.stop();
        await stopListening();
        await elsewhere.stop();
        await commands.stop();
        await charges.stop();
        await metrics.stop();
        await forwards.stop();
        await ledger.stop();
        await database.close();
        await passesEnd;
        log.info('warden stopped');
      },
    };
  } catch (error) {
    await forwards.stop();
    await ledger.stop();
    await database.close();
    throw error;
  }
}

type Serving = {
  readonly nodes: Nodes;
  readonly handlers: ReturnType<typeof edgeHandlers>;
  readonly slots: WardenSlots;
  readonly warden: Warden;
};

function serve(socket: Socket, caller: EdgeCaller, { nodes, handlers, slots, warden }: Serving): void {
  // An honest edge checks what it sends. This one runs another program, or has been taken over.
  const tell = (what: string): void => warden.log.error({ node: caller.node, what }, 'an edge sent a malformed message');
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

/** The listening socket of one edge. `refuse` accepts no further connection; `stop` also destroys the existing ones. */
type Listening = { refuse(): void; stop(): Promise<void> };

async function listen(
  config: Config,
  edge: EdgeConfig,
  slots: WardenSlots,
  onConnect: (socket: Socket, caller: EdgeCaller) => void,
): Promise<Listening> {
  const path = runtimePaths(config).wardenSocket(edge.node);
  const caller: EdgeCaller = { node: idOf<NodeName>(edge.node), plane: edge.plane };
  const open = new Set<Socket>();
  rmSync(path, { force: true });
  const server: Server = createServer((socket) => {
    const release = placeOrEnd(socket, caller, slots);
    if (release === undefined) return;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      release();
    });
    onConnect(socket, caller);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new CofferdamError('configuration', `the warden cannot listen on ${path}`, { cause })));
    server.listen(path, resolve);
  });
  chmodSync(path, 0o660);
  const closed = new AbortController();
  server.once('close', () => closed.abort());
  return {
    refuse: () => void server.close(),
    stop: async () => {
      for (const socket of open) socket.destroy();
      await pause(closedMs, undefined, { signal: closed.signal }).catch(() => {});
    },
  };
}
