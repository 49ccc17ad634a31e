// Owns: the store process: the only one that writes, publishes and deletes sealed objects. It listens on one socket for
// each edge, and on one for the wardens.
// Must never: have a key of customers, a connection to the database, or a listener on a network address; or believe
// what an edge says about its identity, which is the socket through which it came.
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { type Config, runtimePaths } from '../config/config.ts';
import { lastPutsMs } from '../config/stop-times.ts';
import { idOf, type NodeName, type ObjectId } from '../domain/ids.ts';
import { stopsWith } from '../domain/lifetimes.ts';
import { DirectoryStore } from '../extents/directory-store.ts';
import type { ObjectStore } from '../extents/object-store.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { ownDoor } from '../rpc/door.ts';
import type { Handlers } from '../rpc/operation.ts';
import { type ReadMemory, SocketReader } from '../rpc/own-buffer.ts';
import { checkOwnBuffer } from '../rpc/own-buffer-check.ts';
import { Peer } from '../rpc/peer.ts';
import { Slots } from '../rpc/slots.ts';
import { type Listening, listenOn } from '../rpc/unix-listener.ts';
import { entriesMax, objectsMax, storeToWarden, type WardenToStore, wardenToStore } from '../rpc/warden-store.ts';
import { EndedPuts } from './ended-puts.ts';
import { Pieces } from './pieces.ts';
import { Puts } from './puts.ts';
import { TicketKeys } from './ticket-keys.ts';
import { Unsettled } from './unsettled.ts';

/**
 * How many connections one edge may have at once. An edge needs one. Three that it gave up, or that former runs of it
 * left and that are not closed yet, do not keep a new one out. Each may use 1 MiB for reads.
 */
const edgeConnectionsMax = 4;
/**
 * Memory that nobody counts: each connection of an edge reads into at most 1 MiB, and these connections are bounded.
 */
const memory: ReadMemory = { take: () => true, need: () => {}, give: () => {} };
/** How many connections of wardens there may be at once. */
const wardenConnectionsMax = 32;
export type RunningStore = { stop(): Promise<void> };

// The names of files are arbitrary bytes: base64 in messages, latin1 (one character for each byte) in memory.
const nameOf = (text: string): string => Buffer.from(text, 'base64').toString('latin1');
const textOf = (name: string): string => Buffer.from(name, 'latin1').toString('base64');

/** Returns the handlers of what wardens may ask. */
function wardenHandlers(
  store: ObjectStore,
  keys: TicketKeys,
  unsettled: Unsettled,
): Handlers<WardenToStore, undefined> {
  const run = randomUUID();
  const since = performance.now();
  const ids = (objects: readonly string[]): readonly ObjectId[] => objects.map((one) => idOf<ObjectId>(one));
  return {
    'store.hello': async ({ key }) => {
      keys.add(Buffer.from(key, 'base64'));
      return { run, runMs: performance.now() - since };
    },
    'store.room': async () => ({ freeBytes: await store.freeBytes(), held: [...unsettled.bytesByNode()] }),
    'store.settle': async ({ objects }) => {
      unsettled.settle(ids(objects));
      return {};
    },
    'store.unsettled': async ({ ageMs }) => ({ objects: [...unsettled.olderThan(ageMs, objectsMax)] }),
    'store.delete': async ({ objects }) => {
      for (const object of ids(objects)) {
        await store.delete(object);
        unsettled.settle([object]);
      }
      return {};
    },
    'store.list': async ({ prefix, after }) => {
      const listing = await store.list({ prefix }, after === null ? null : nameOf(after), entriesMax);
      return {
        found: listing.found.map((one) => ({ ...one, name: textOf(one.name) })),
        next: listing.next === null ? null : textOf(listing.next),
        fault: listing.fault,
      };
    },
  };
}

function serveEdge(accepted: Socket, isOwn: boolean, given: ConstructorParameters<typeof Puts>[1]): void {
  const reader = new SocketReader(accepted, memory, isOwn);
  // The listener destroys only the accepted socket. `reader.socket` may have replaced it, and is destroyed with it.
  accepted.once('close', () => reader.socket.destroy());
  new Puts(reader, given);
}

function serveWarden(socket: Socket, handlers: Handlers<WardenToStore, undefined>, log: Logger): void {
  new Peer({
    stream: socket,
    serves: wardenToStore,
    handlers,
    calls: storeToWarden,
    door: ownDoor(undefined),
    onClose: (reason) => log.info({ reason: reason.message }, 'a warden disconnected'),
    onBug: (op, error) => log.error({ op, err: error }, 'a call of a warden failed'),
  });
}

/**
 * Removes what former runs were writing when they ended. Nothing of it was acknowledged. What cannot be removed stays,
 * and is logged.
 */
async function removeUnfinished(store: ObjectStore, log: Logger): Promise<void> {
  let removed = 0;
  for (let after: string | null = null, isDone = false; !isDone; ) {
    const { found, next, fault } = await store.list('unfinished', after, entriesMax);
    if (fault !== null) log.error({ fault }, 'unfinished objects of earlier runs cannot be listed; they stay');
    for (const { name } of found)
      await store.remove('unfinished', name).then(
        () => (removed += 1),
        (error: unknown) => log.error({ err: error }, 'an unfinished object cannot be removed; it stays'),
      );
    after = next;
    isDone = next === null;
  }
  if (removed > 0) log.info({ removed }, 'unfinished objects of earlier runs were removed');
}

/** Starts the store and resolves when every socket listens. Throws `configuration` when it cannot work. */
export async function startStore(config: Config): Promise<RunningStore> {
  await using starting = new AsyncDisposableStack();
  const log = createLogger(config, 'store');
  const paths = runtimePaths(config);
  const store = await DirectoryStore.open(paths.objects);
  log.info(
    { direct: store.isDirect },
    store.isDirect ? 'objects pass the page cache by' : 'objects use the page cache',
  );
  await removeUnfinished(store, log);
  const keys = new TicketKeys();
  const unsettled = new Unsettled(config.limits.unsettledBytesMax);
  const places = new Slots(config.shares.store.puts);
  const pieces = new Pieces(store, new Slots(config.shares.store.pieces));
  const handlers = wardenHandlers(store, keys, unsettled);
  stopsWith(
    starting,
    await listenOn(paths.storeControlSocket, wardenConnectionsMax, (socket) => serveWarden(socket, handlers, log)),
  );
  const { isOwn, text } = await checkOwnBuffer(`${dirname(paths.storeControlSocket)}/check.sock`);
  log.info(text);
  const ended = new EndedPuts();
  const sockets: Listening[] = [];
  for (const edge of config.edges) {
    const { node, plane } = edge;
    const given = { store, node: idOf<NodeName>(node), plane, places, pieces, keys, ended, unsettled, log };
    const serve = (socket: Socket): void => serveEdge(socket, isOwn, given);
    sockets.push(stopsWith(starting, await listenOn(paths.storeSocket(node), edgeConnectionsMax, serve, true)));
  }
  // An edge that comes now waits for the next run of the store.
  starting.defer(async () => {
    for (const socket of sockets) socket.refuse();
    const unanswered = await ended.close(lastPutsMs);
    if (unanswered > 0) log.error({ unanswered }, 'objects were not durable in time; nobody was told that they are');
  });
  log.info({ nodes: config.edges.map((edge) => edge.node) }, 'store serves');
  const started = starting.move();
  return {
    stop: async () => {
      await started.disposeAsync();
      log.info('store stopped');
    },
  };
}
