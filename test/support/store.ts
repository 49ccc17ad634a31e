// Owns: a real store in this process, on a directory of the test, with a warden's connection to it.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { issueTicket, type Ticket } from '../../server/extents/object-tickets.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { startStore } from '../../server/store/store.ts';
import { StoreClient } from '../../server/warden/store/store-client.ts';
import { type Teardown, temporaryDirectory } from './database.ts';
import { until } from './until.ts';

/** The key of tickets where a test has no keys of a warden. */
export const testStoreKey = Buffer.alloc(32, 5);

/** Makes the directories that a store needs, as the supervisor makes them. */
export function placeStore(config: Pick<Config, 'runtimeDirectory' | 'storeDirectory' | 'edges'>): void {
  const paths = runtimePaths(config);
  const sockets = [paths.storeControlSocket, ...config.edges.map(({ node }) => paths.storeSocket(node))];
  for (const directory of [paths.objects, ...sockets.map((path) => dirname(path))])
    mkdirSync(directory, { recursive: true });
}

/**
 * Starts a store for the edges of this configuration, and connects a warden to it. Both stop with the test. `restart`
 * stops the store, starts another run of it, and resolves when the warden is connected to that.
 */
export async function startAgainStore(
  t: Teardown,
  config: Config,
  key: Buffer = testStoreKey,
): Promise<{ readonly client: StoreClient; stop(): Promise<void>; restart(): Promise<void> }> {
  placeStore(config);
  const start = () => startStore({ ...config, log: { level: 'error', pretty: false } });
  let store = await start();
  t.teardown(() => store.stop());
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  log.level = 'silent';
  const client = new StoreClient(runtimePaths(config).storeControlSocket, key, 2000, log);
  t.teardown(() => client.stop());
  await client.start(10_000);
  return {
    client,
    stop: () => store.stop(),
    restart: async () => {
      await store.stop();
      await until('the warden has noticed', () => client.run === undefined);
      store = await start();
      await until('the warden is connected again', () => client.run !== undefined);
    },
  };
}

/** The same for a test in which one run of the store is enough. */
export async function startTestStore(t: Teardown, config: Config, key?: Buffer): Promise<StoreClient> {
  return (await startAgainStore(t, config, key)).client;
}

/** A ticket by which the partner's edge may put this object. */
export const testTicket = (object: string, more: Partial<Ticket> = {}): Buffer =>
  issueTicket(testStoreKey, {
    node: idOf<NodeName>('partner-1'),
    object: idOf<ObjectId>(object),
    bytesMax: 2 ** 24,
    until: Date.now() + 3_600_000,
    ...more,
  });

/** Returns the directory of an installation with a running store, for an edge process that is played by a test. */
export async function storeDirectory(t: Teardown): Promise<string> {
  const directory = temporaryDirectory(t);
  const env = { COFFERDAM_VAR: directory };
  await startTestStore(
    t,
    loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' }),
  );
  return directory;
}
