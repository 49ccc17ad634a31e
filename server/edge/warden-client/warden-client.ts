// Owns: the edge's one connection to the warden: hello, calls, lease; reconnecting for ever.
// Must never: keep sending when the lease is lost, or repeat a call whose outcome is unknown unless it may be made twice.
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { runtimePaths } from '../../config/config.ts';
import { detach, unexpected } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Claim } from '../../domain/share.ts';
import { ownDoor } from '../../rpc/door.ts';
import { type EdgeToWarden, edgeToWarden, type WardenToEdge, wardenToEdge } from '../../rpc/edge-warden.ts';
import type { Handlers, Params, Result } from '../../rpc/operation.ts';
import { Peer } from '../../rpc/peer.ts';
import { Slots } from '../../rpc/slots.ts';
import { checkCall } from '../../rpc/wrong-form.ts';
import type { EdgeNode, WardenCalls } from '../sftp-seam.ts';

type WardenPeer = Peer<WardenToEdge, EdgeToWarden, undefined>;
export type Hello = Result<EdgeToWarden, 'node.hello'>;

export type WardenClientEvents = {
  readonly terminated: (session: string, reason: SessionEnd) => void;
  /** Sessions whose clients did something that the warden does not know of; `told` when it does. */
  readonly active: () => { readonly active: readonly { readonly session: string; readonly quietMs: number }[]; told(): void };
  /** An operator's order, repeated with every renewal: this run ends within so long. */
  readonly drain: (withinMs: number) => void;
  /** The warden is about to leave. Resolves when no login and no key exchange is half done: the next warden knows nothing of them. */
  readonly leaving: () => Promise<void>;
  /** The lease was lost or is back. */
  readonly leaseChanged: (isLive: boolean) => void;
  readonly sessionCount: () => number;
  readonly hasNativeCipher: boolean;
};

/** As many come with one renewal; there may be more, and nothing is sent before they are known. */
const endedMax = 1000;
const backoffFirstMs = 50;
const backoffMaxMs = 1000;
/** A unix socket costs little: a warden that starts again is found soon. */
const reconnectMaxMs = 250;

/** A session by its token, a login by its connection; what is the edge's own counts among the logins. */
function whoseOf(params: object): Claim {
  if ('token' in params && typeof params.token === 'string') return { holder: params.token, group: 'sessions' };
  return { holder: 'connection' in params && typeof params.connection === 'string' ? params.connection : 'edge', group: 'logins' };
}

export class WardenClient implements WardenCalls {
  readonly #node: EdgeNode;
  readonly #events: WardenClientEvents;
  /** Names this run of the process: a new one ends what an earlier run left. */
  readonly #startId = randomUUID();
  readonly #slots: Slots;
  readonly #waiting = new Set<(peer: WardenPeer | undefined) => void>();
  #peer: WardenPeer | undefined;
  #isStopped = false;
  #epoch = 0;
  #lastRenewal = Number.NEGATIVE_INFINITY;
  #isLive = false;
  #isRenewing = false;
  #isLeaving = false;
  #backoffMs = backoffFirstMs;
  /** As of the last greeting; a warden that started again may have others. */
  hostKeys: Hello['hostKeys'] = [];
  challenge = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(node: EdgeNode, events: WardenClientEvents) {
    this.#node = node;
    this.#slots = new Slots(node.config.shares.edge.calls);
    this.#events = events;
  }

  /** Resolves with the first hello; tries until `patienceMs` is over. */
  async start(patienceMs: number): Promise<Hello> {
    const first = new Promise<Hello>((resolve, reject) => {
      const timer = setTimeout(() => reject(new CofferdamError('configuration', 'the warden cannot be reached on its socket')), patienceMs);
      this.#connect((hello) => {
        clearTimeout(timer);
        resolve(hello);
      });
    });
    const hello = await first;
    this.#timer = setInterval(() => this.#beat(), this.#node.config.limits.leaseIntervalMs);
    return hello;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#peer?.close();
    for (const wake of this.#waiting) wake(undefined);
  }

  get isLeaseLive(): boolean {
    return this.#isLive && performance.now() - this.#lastRenewal <= this.#node.config.limits.leaseLostMs;
  }

  /** A warden is there, and is to stay. */
  get isReady(): boolean {
    return this.#peer?.isOpen === true && !this.#isLeaving;
  }

  /** Resolves when there is one; rejects with `unavailable` after `wardenRetryMs`. */
  async whenReady(): Promise<void> {
    if (!this.isReady) await this.#next(performance.now() + this.#node.config.limits.wardenRetryMs);
  }

  #connect(onHello: (hello: Hello) => void): void {
    if (this.#isStopped) return;
    const socket = connect(runtimePaths(this.#node.config).wardenSocket(this.#node.node));
    const handlers: Handlers<WardenToEdge, undefined> = {
      'session.terminate': async ({ session, reason }) => {
        this.#events.terminated(session, reason);
        return {};
      },
      'warden.leaving': async () => {
        this.#isLeaving = true;
        await this.#events.leaving();
        if (this.#peer === peer) this.#peer = undefined;
        this.#isLeaving = false;
        // It closes the stream when it has answered; should it not, we do.
        setTimeout(() => peer.close(), this.#node.config.limits.wardenRetryMs).unref();
        // Whoever was just given this peer makes its call before the answer goes.
        await new Promise((resolve) => setImmediate(resolve));
        return {};
      },
    };
    const peer: WardenPeer = new Peer({
      stream: socket,
      serves: wardenToEdge,
      handlers,
      calls: edgeToWarden,
      door: ownDoor(undefined),
      onClose: () => {
        if (this.#peer === peer) this.#peer = undefined;
        if (this.#isStopped) return;
        setTimeout(() => this.#connect(onHello), this.#backoffMs);
        this.#backoffMs = Math.min(reconnectMaxMs, this.#backoffMs * 2);
      },
      onBug: (op, error) => this.#node.log.error({ op, err: error }, 'defect in a handler'),
    });
    detach(
      peer.call('node.hello', { protocol: 1, startId: this.#startId, nativeCipher: this.#events.hasNativeCipher }).then(
        (hello) => {
          this.#backoffMs = backoffFirstMs;
          this.#peer = peer;
          this.hostKeys = hello.hostKeys;
          this.challenge = hello.challenge;
          if (this.#epoch === 0) this.#epoch = hello.epoch;
          // A greeting renews nothing: what ended meanwhile comes with the first renewal.
          this.#beat();
          for (const wake of this.#waiting) wake(peer);
          onHello(hello);
        },
        (error: unknown) => {
          // That it is away is said once, when the lease is lost.
          if (toCofferdamError(error).code !== 'unavailable') this.#node.log.warn({ err: error }, 'the warden refused the greeting');
          peer.close();
        },
      ),
      unexpected,
    );
  }

  #renewed(): void {
    const wasLive = this.isLeaseLive;
    this.#lastRenewal = performance.now();
    this.#isLive = true;
    if (!wasLive) this.#events.leaseChanged(true);
  }

  #beat(): void {
    const { leaseLostMs } = this.#node.config.limits;
    if (this.#isLive && performance.now() - this.#lastRenewal > leaseLostMs) {
      this.#isLive = false;
      this.#node.log.warn('the lease is lost: nothing is sent until the warden is back');
      this.#events.leaseChanged(false);
    }
    if (this.#peer === undefined || this.#isRenewing) return;
    this.#isRenewing = true;
    const { active, told } = this.#events.active();
    const renewed = this.#peer
      .call('lease.renew', { sessions: this.#events.sessionCount(), epoch: this.#epoch, active: [...active] })
      .then(({ epoch, ended, challenge, drainWithinMs }) => {
        told();
        this.#epoch = epoch;
        this.challenge = challenge;
        for (const { session, reason } of ended) this.#events.terminated(session, reason);
        if (drainWithinMs !== null) this.#events.drain(drainWithinMs);
        if (ended.length < endedMax) this.#renewed();
        else setImmediate(() => this.#beat());
      })
      .finally(() => (this.#isRenewing = false));
    // A renewal that fails is one that did not come: the lease is lost by the clock.
    detach(renewed, (error) => {
      if (toCofferdamError(error).code === 'bug') this.#node.log.error({ err: error }, 'defect in the renewal of the lease');
    });
  }

  #connected(deadline: number): Promise<WardenPeer> {
    return this.#peer?.isOpen === true ? Promise.resolve(this.#peer) : this.#next(deadline);
  }

  #next(deadline: number): Promise<WardenPeer> {
    return new Promise((resolve, reject) => {
      const finish = (peer: WardenPeer | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(finish);
        if (peer === undefined) reject(new CofferdamError('unavailable', 'the service is not available at the moment; try again'));
        else resolve(peer);
      };
      const timer = setTimeout(() => finish(undefined), Math.max(0, deadline - performance.now()));
      if (this.#isStopped || this.#waiting.size >= 10_000) finish(undefined);
      else this.#waiting.add(finish);
    });
  }

  /** No session's calls stand before another's, and none before a lease: beyond its places they wait here, where the stream is not held up by them. */
  async #ask<K extends keyof EdgeToWarden & string>(
    op: K,
    params: Params<EdgeToWarden, K>,
    deadline: number,
  ): Promise<Result<EdgeToWarden, K>> {
    // What clients say goes into these: whatever it is, the warden hears nothing of a wrong form from this edge.
    checkCall(edgeToWarden, op, params);
    return this.#slots.within(whoseOf(params), async () => (await this.#connected(deadline)).call(op, params));
  }

  call<K extends keyof EdgeToWarden & string>(op: K, params: Params<EdgeToWarden, K>): Promise<Result<EdgeToWarden, K>> {
    return this.#ask(op, params, performance.now() + this.#node.config.limits.wardenRetryMs);
  }

  async callRepeatable<K extends keyof EdgeToWarden & string>(op: K, params: Params<EdgeToWarden, K>): Promise<Result<EdgeToWarden, K>> {
    const deadline = performance.now() + this.#node.config.limits.wardenRetryMs;
    for (let pauseMs = backoffFirstMs; ; pauseMs = Math.min(backoffMaxMs, pauseMs * 2)) {
      try {
        return await this.#ask(op, params, deadline);
      } catch (thrown) {
        const error = toCofferdamError(thrown);
        if (error.code !== 'unavailable' || this.#isStopped || performance.now() + pauseMs > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }
}
