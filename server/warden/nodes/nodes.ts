// Owns: the edges that are connected, their leases, and what must reach them at once.
// Must never: answer a lease from memory older than one beat of the database: without the database no lease is renewed.
import { CofferdamError } from '../../domain/errors.ts';
import type { NodeName, SessionId } from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden, WardenToEdge } from '../../rpc/edge-warden.ts';
import type { Peer } from '../../rpc/peer.ts';
import type { EdgeCaller, EdgeNotifier } from '../context.ts';
import { currentEpoch, registerNode, revocationsSince } from './node-queries.ts';

type EdgePeer = Peer<EdgeToWarden, WardenToEdge, EdgeCaller>;
type Connected = { readonly peer: EdgePeer; startId: string | undefined };

/** How long one look at the database serves the leases of all nodes. */
const beatMs = 100;

export class Nodes implements EdgeNotifier {
  readonly #database: Database;
  readonly #connected = new Map<NodeName, Connected>();
  #beat: { readonly at: number; readonly answer: Promise<{ epoch: number }> } | undefined;
  /** Ended sessions by node, newest last, bounded; an edge asks for those after the epoch it has seen. */
  readonly #ended = new Map<NodeName, { id: SessionId; epoch: number }[]>();
  #epoch = -1;

  constructor(database: Database) {
    this.#database = database;
  }

  attach(node: NodeName, peer: EdgePeer): void {
    this.#connected.get(node)?.peer.close(new CofferdamError('unavailable', 'replaced by a newer connection'));
    this.#connected.set(node, { peer, startId: undefined });
  }

  detach(node: NodeName, peer: EdgePeer): void {
    if (this.#connected.get(node)?.peer === peer) this.#connected.delete(node);
  }

  startIdOf(caller: EdgeCaller): string {
    const startId = this.#connected.get(caller.node)?.startId;
    if (startId === undefined) throw new CofferdamError('invalid', 'hello comes first');
    return startId;
  }

  /** Registers the run of a node. Returns the newest epoch. */
  async hello(caller: EdgeCaller, startId: string): Promise<number> {
    const epoch = await this.#database.withSystem(async (tx) => {
      await registerNode(tx, caller.node, caller.plane, startId);
      return currentEpoch(tx);
    });
    const connected = this.#connected.get(caller.node);
    if (connected === undefined) throw new CofferdamError('unavailable', 'the connection is gone');
    connected.startId = startId;
    return epoch;
  }

  /** Renews the lease of one node: shares one database look among nodes and beats; rejects when the database is away. */
  async renew(caller: EdgeCaller, seenEpoch: number): Promise<{ readonly epoch: number; readonly ended: readonly SessionId[] }> {
    this.startIdOf(caller);
    const now = performance.now();
    if (this.#beat === undefined || now - this.#beat.at > beatMs) {
      const answer = this.#look();
      this.#beat = { at: now, answer };
      answer.catch(() => (this.#beat = undefined));
    }
    const { epoch } = await this.#beat.answer;
    const ended = (this.#ended.get(caller.node) ?? []).filter((one) => one.epoch > seenEpoch).slice(0, 1000);
    return { epoch: ended.length === 1000 ? (ended.at(-1)?.epoch ?? epoch) : epoch, ended: ended.map((one) => one.id) };
  }

  async #look(): Promise<{ epoch: number }> {
    const nodes = [...this.#connected.keys()];
    const found = await this.#database.withSystem(async (tx) => {
      // One step of overlap: a transaction that took its number earlier may have committed later.
      const from = this.#epoch < 0 ? await currentEpoch(tx) : Math.max(0, this.#epoch - 1000);
      return revocationsSince(tx, nodes, from);
    });
    for (const one of found.ended) {
      const list = this.#ended.get(one.node) ?? [];
      if (!list.some((known) => known.id === one.id)) list.push({ id: one.id, epoch: one.epoch });
      if (list.length > 5000) list.splice(0, list.length - 5000);
      this.#ended.set(one.node, list);
    }
    this.#epoch = Math.max(this.#epoch, found.epoch);
    return { epoch: this.#epoch };
  }

  terminate(node: NodeName, session: SessionId, reason: string): void {
    this.#connected
      .get(node)
      ?.peer.call('session.terminate', { session, reason: reason.slice(0, 128) })
      .catch(() => {});
  }
}
