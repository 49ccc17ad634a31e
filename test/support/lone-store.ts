// Owns: a store that runs alone, in a process of its own as the supervisor starts it, for two nodes, with a key of
// tickets that the test knows.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Config, type Paths, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { bounded } from '../../server/domain/bounded.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { issueTicket } from '../../server/extents/object-tickets.ts';
import { extentPlainBytesMax, sealedLength } from '../../server/extents/sealed-format.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { type StoreToWarden, storeToWarden, type WardenToStore, wardenToStore } from '../../server/rpc/warden-store.ts';
import { roleCommand } from '../../server/supervisor/commands.ts';
import { buildWall, layOut } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from './database.ts';
import { StoreClient } from './store-client.ts';
import { failOnUnowned } from './unowned.ts';
import { project } from './world.ts';

const startMs = 30_000;
/** The most bytes that a warden's ticket admits. */
export const objectBytesMax = sealedLength(extentPlainBytesMax);

export type Ticketed = { readonly object: ObjectId; readonly ticket: string };

export class LoneStore {
  readonly paths: Paths;
  readonly key = randomBytes(32);
  readonly #config: Config;
  #process: ChildProcess | undefined;
  #wardens: Peer<StoreToWarden, WardenToStore, undefined> | undefined;
  #log = '';

  private constructor(config: Config) {
    this.#config = config;
    this.paths = runtimePaths(config);
  }

  static async start(t: Teardown, limits: Readonly<Record<string, number>> = {}): Promise<LoneStore> {
    const directory = join(temporaryDirectory(t), 'var');
    const file = `${directory}.json`;
    writeFileSync(
      file,
      JSON.stringify({
        mode: 'development',
        runtimeDirectory: directory,
        edges: ['p1', 'i1'].map((node, i) => ({
          node,
          plane: i === 0 ? 'partner' : 'internal',
          host: '127.0.0.1',
          port: 2100 + i,
        })),
        database: { embedded: true },
        limits,
      }),
    );
    // All roles share the user of the test: what the system users separate is tested elsewhere.
    const config = loadConfig({ file, env: {}, isRoot: false, isTerminal: false, projectDirectory: project });
    layOut(config, buildWall(config));
    const store = new LoneStore(config);
    t.teardown(async () => {
      await store.stop('SIGTERM');
      failOnUnowned(store.log);
    });
    await store.run();
    return store;
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts the process, and greets it as a warden does unless it is told not to. */
  async run({ greets = true } = {}): Promise<void> {
    const configFile = join(this.#config.runtimeDirectory, 'run', 'config.json');
    mkdirSync(join(this.#config.runtimeDirectory, 'run'), { recursive: true });
    writeFileSync(configFile, JSON.stringify(this.#config));
    const { program, args, env } = roleCommand(this.paths, project, configFile, 'store');
    const child = spawn(program, [...args], { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#process = child;
    child.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString('utf8')));
    await bounded(startMs, 'the store to be ready', once(child, 'message'));
    this.#wardens = new Peer({
      stream: connect(this.paths.storeControlSocket),
      serves: storeToWarden,
      handlers: {},
      calls: wardenToStore,
      door: ownDoor(undefined),
      onClose: () => {},
      onBug: () => {},
    });
    if (greets) await this.greet();
  }

  async greet(): Promise<void> {
    await this.wardens.call('store.hello', { protocol: 1, key: this.key.toString('base64') });
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#wardens?.close();
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await bounded(startMs, 'the store to end', once(child, 'exit'));
  }

  /** The connection of the warden. */
  get wardens(): Peer<StoreToWarden, WardenToStore, undefined> {
    if (this.#wardens === undefined) throw new Error('the store does not run');
    return this.#wardens;
  }

  connect(node: 'p1' | 'i1'): Promise<StoreClient> {
    return StoreClient.connect(this.paths.storeSocket(node));
  }

  /** A ticket as a warden issues it. */
  ticket(
    node: 'p1' | 'i1',
    given: {
      readonly object?: ObjectId;
      readonly bytesMax?: number;
      readonly until?: number;
      readonly key?: Buffer;
    } = {},
  ): Ticketed {
    const object = given.object ?? idOf<ObjectId>(randomBytes(16).toString('hex'));
    const { bytesMax = objectBytesMax, until = Date.now() + 600_000, key = this.key } = given;
    const ticket = issueTicket(key, { node: idOf<NodeName>(node), object, bytesMax, until });
    return { object, ticket: ticket.toString('base64') };
  }

  /** The names of all published objects, and of what is unfinished. */
  files(): { readonly objects: readonly string[]; readonly unfinished: readonly string[] } {
    return filesOf(this.paths.objects);
  }

  /** How many bytes of each node are not settled. */
  async held(): Promise<Readonly<Record<string, number>>> {
    const { held } = await this.wardens.call('store.room', {});
    return Object.fromEntries(held.map(({ node, bytes }) => [node, bytes]));
  }
}

/** What is below the directory of objects. */
export function filesOf(objects: string): {
  readonly objects: readonly string[];
  readonly unfinished: readonly string[];
} {
  const unfinished = join(objects, 'new');
  return {
    objects: readdirSync(objects)
      .filter((name) => name.length === 2)
      .flatMap((name) => readdirSync(join(objects, name)))
      .sort(),
    unfinished: existsSync(unfinished) ? readdirSync(unfinished) : [],
  };
}
