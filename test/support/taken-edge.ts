// Owns: a world whose partner edge is compromised: the real one is stopped, and the test has its place at the sockets
// of the warden and of the store.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { attempt, connectAs, type EdgePeer, hashOf, transcript, UserKey } from './impostor.ts';
import { StoreClient } from './store-client.ts';
import type { World } from './world.ts';

const configOf = (world: World): Config =>
  JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;

export class TakenEdge {
  readonly peer: EdgePeer;
  readonly #challenge: string;
  readonly #world: World;
  readonly #keys = new Map<string, UserKey>();
  readonly #still: readonly number[];

  private constructor(world: World, still: readonly number[], peer: EdgePeer, challenge: string) {
    this.#world = world;
    this.#still = still;
    this.peer = peer;
    this.#challenge = challenge;
  }

  static async take(t: Test, world: World): Promise<TakenEdge> {
    const paths = runtimePaths(configOf(world));
    const still = world.pidsOf('partner-1');
    for (const pid of still) process.kill(pid, 'SIGSTOP');
    const peer = connectAs(paths.wardenSocket('partner-1'));
    t.teardown(() => peer.close());
    const { challenge } = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
    const taken = new TakenEdge(world, still, peer, challenge);
    t.teardown(() => taken.letGo());
    return taken;
  }

  /** The real edge has its place again. */
  letGo(): void {
    this.peer.close();
    for (const pid of this.#still) process.kill(pid, 'SIGCONT');
  }

  /** A connection to the store. */
  async store(t: Test): Promise<StoreClient> {
    const store = await StoreClient.connect(runtimePaths(configOf(this.#world)).storeSocket('partner-1'));
    t.teardown(() => store.close());
    return store;
  }

  /** A key exchange that the warden signed: the name of its connection, and the session identifier. */
  async exchange(): Promise<{ readonly connection: string; readonly identifier: Buffer }> {
    const params = transcript(this.#challenge);
    return { connection: params.connection, identifier: hashOf(params, await this.peer.call('exchange.sign', params)) };
  }

  /** The token of a session that a machine's own key opens by this edge. */
  async login(name: string): Promise<string> {
    const key = this.#keys.get(name) ?? new UserKey();
    if (!this.#keys.has(name)) {
      const added = await this.#world.cofferctl(['key', 'add', name, '--file', '-'], key.line);
      if (added.code !== 0) throw new Error(added.err);
      this.#keys.set(name, key);
    }
    const { connection, identifier } = await this.exchange();
    const login = await attempt(this.peer, connection, name, key.evidence(name, identifier));
    if (login.outcome !== 'accepted') throw new Error(`no session: ${login.outcome}`);
    return login.session.token;
  }

  /** Any call, whatever its parameters are. Returns its answer, or the code of the refusal. */
  async say(op: string, params: unknown): Promise<{ readonly result: unknown } | { readonly code: string }> {
    try {
      return { result: await this.peer.call(op as never, params as never) };
    } catch (error) {
      return { code: (error as { readonly code?: string }).code ?? String(error) };
    }
  }
}
