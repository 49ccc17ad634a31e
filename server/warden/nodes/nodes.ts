// Owns: the edges that are connected, their leases, and what must reach them at once.
// Must never: renew a lease without asking the database.

import { type WardenLeaves, wardenLeaves } from '../../config/stop-times.ts';
import { detach, givenUp } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { NodeName, SessionId } from '../../domain/ids.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Database } from '../../postgres/database.ts';
import type { EdgeToWarden, WardenToEdge } from '../../rpc/edge-warden.ts';
import type { Peer } from '../../rpc/peer.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { Turns } from '../passes/turns.ts';
import { type Activity, touchSessions } from '../sessions/ending-queries.ts';
import type { EdgeNotifier } from '../sessions/open-session.ts';
import { currentEpoch, endedSince, type Renewal, registerNode, renewQuietly, seeNode } from './node-queries.ts';

type EdgePeer = Peer<EdgeToWarden, WardenToEdge, EdgeCaller>;
type Renewed = {
  readonly epoch: number;
  readonly ended: readonly { readonly session: SessionId; readonly reason: SessionEnd }[];
  readonly drainWithinMs: number | null;
};
type Connected = {
  readonly peer: EdgePeer;
  startId: string | undefined;
  readonly told: Set<SessionId>;
  /** What has this epoch or an earlier one was seen by a renewal, whenever it was committed. */
  settled: number;
  /** An epoch that the edge had seen, and when (`performance.now()`). */
  settling: { readonly epoch: number; readonly at: number } | undefined;
};

/**
 * A transaction may take its epoch early and commit late. So each renewal looks back by this many epochs, and reports
 * each session only once.
 */
const epochOverlap = 1000;
/**
 * No transaction that ends sessions lasts as long as this, in milliseconds: whatever took its epoch before then is
 * committed, and was seen. So a renewal does not look back for ever when no session ends.
 */
const settlesUsualMs = 120_000;

/** Notes what a renewal has settled whose edge had seen `epoch`. */
function settle(connected: Connected, epoch: number, settlesMs: number): void {
  const { settling } = connected;
  if (settling !== undefined && performance.now() - settling.at < settlesMs) return;
  connected.settled = settling?.epoch ?? 0;
  connected.settling = { epoch, at: performance.now() };
}

const toldMax = 5000;

export class Nodes implements EdgeNotifier {
  readonly #database: Database;
  readonly #turns: Turns;
  readonly #settlesMs: number;
  readonly #connected = new Map<NodeName, Connected>();

  constructor(database: Database, turns = new Turns(), settlesMs = settlesUsualMs) {
    this.#database = database;
    this.#turns = turns;
    this.#settlesMs = settlesMs;
  }

  attach(node: NodeName, peer: EdgePeer): void {
    this.#connected.get(node)?.peer.close(new CofferdamError('unavailable', 'replaced by a newer connection'));
    this.#connected.set(node, {
      peer,
      startId: undefined,
      told: new Set(),
      settled: 0,
      settling: undefined,
    });
  }

  detach(node: NodeName, peer: EdgePeer): void {
    if (this.#connected.get(node)?.peer === peer) this.#connected.delete(node);
  }

  get connectedCount(): number {
    return this.#connected.size;
  }

  /** Throws `invalid` when the edge has not sent its greeting. */
  requireGreeted(caller: EdgeCaller): void {
    this.startIdOf(caller);
  }

  /** Returns the run of the calling edge, as its greeting named it. Throws `invalid` when it has not sent one. */
  startIdOf(caller: EdgeCaller): string {
    const startId = this.#connected.get(caller.node)?.startId;
    if (startId === undefined) throw new CofferdamError('invalid', 'node.hello must be called first');
    return startId;
  }

  /**
   * Registers the run of a node and returns the newest epoch. `onNew` is called when the run is another one than the
   * last; when it throws, the registration is undone.
   */
  async hello(caller: EdgeCaller, startId: string, nativeCipher: boolean | null, onNew: () => void): Promise<number> {
    const epoch = await this.#database.withSystem(async (tx) => {
      if (await registerNode(tx, { node: caller.node, plane: caller.plane, startId, nativeCipher })) onNew();
      return currentEpoch(tx);
    });
    const connected = this.#connected.get(caller.node);
    if (connected === undefined) throw new CofferdamError('unavailable', 'the connection is gone');
    connected.startId = startId;
    return epoch;
  }

  /**
   * Renews the lease of one node. Rejects when the database is away, so that no lease outlives the loss of the
   * database.
   */
  async renew(caller: EdgeCaller, seenEpoch: number, active: readonly Activity[]): Promise<Renewed> {
    const connected = this.#connected.get(caller.node);
    const startId = connected?.startId;
    if (connected === undefined || startId === undefined)
      throw new CofferdamError('invalid', 'node.hello must be called first');
    const after = Math.max(0, connected.settled, seenEpoch - epochOverlap);
    const { rows, drainWithinMs } = await this.#turns.timed('renews leases', () =>
      this.#renew(caller.node, startId, after, active),
    );
    settle(connected, seenEpoch, this.#settlesMs);
    const fresh = rows.filter((row) => !connected.told.has(row.id)).slice(0, 1000);
    for (const row of fresh) connected.told.add(row.id);
    for (const id of connected.told) {
      if (connected.told.size <= toldMax) break;
      connected.told.delete(id);
    }
    return {
      epoch: Math.max(seenEpoch, fresh.at(-1)?.epoch ?? 0),
      ended: fresh.map(({ id, end }) => ({ session: id, reason: end })),
      drainWithinMs,
    };
  }

  #renew(node: NodeName, startId: string, after: number, active: readonly Activity[]): Promise<Renewal> {
    // With nothing to report, one statement says that the node lives and reads what its edge must hear.
    if (active.length === 0) return renewQuietly(this.#database, { node, startId, after });
    return this.#database.withSystem(async (tx) => {
      // This is done in the transaction that moves the node's own clock. Up to that time all activity of its sessions
      // is then known, and a session that was not named had none.
      await touchSessions(tx, active, node);
      return { drainWithinMs: await seeNode(tx, node, startId), rows: await endedSince(tx, node, after) };
    });
  }

  /**
   * Tells all edges that this warden stops, and waits for them. Each edge finishes what cannot be moved, makes no
   * further call here, receives its outstanding answers, and looks for the next warden. An edge that does neither is
   * waited for as long as `waits` says.
   */
  async leave(waits: WardenLeaves = wardenLeaves): Promise<void> {
    await Promise.all(
      [...this.#connected.values()].map(async ({ peer }) => {
        let timer: NodeJS.Timeout | undefined;
        const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, waits.edgeMs)));
        await Promise.race([peer.call('warden.leaving', {}).catch(() => {}), patience]);
        clearTimeout(timer);
        await peer.finish(waits.answersMs);
      }),
    );
  }

  terminate(node: NodeName, session: SessionId, reason: SessionEnd): void {
    detach(this.#connected.get(node)?.peer.call('session.terminate', { session, reason }), givenUp);
  }
}
