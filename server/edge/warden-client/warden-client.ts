// Owns: the one connection of an edge to its warden: the `node.hello`, the
// calls, the lease, and connecting again for as long as the edge runs.
// Must never: let the edge send while the lease is lost, or repeat a
// call whose outcome is unknown, unless the operation may be made twice.
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { detach, unexpected } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Claim, Share } from '../../domain/share.ts';
import { ownDoor } from '../../rpc/door.ts';
import { type EdgeToWarden, edgeToWarden, type WardenToEdge, wardenToEdge } from '../../rpc/edge-warden.ts';
import type { Handlers, Params, Result } from '../../rpc/operation.ts';
import { Peer } from '../../rpc/peer.ts';
import { Slots } from '../../rpc/slots.ts';
import { checkCall } from '../../rpc/wrong-form.ts';
import type { EdgeNode, WardenCalls } from '../seam/sftp-seam.ts';

type WardenPeer = Peer<WardenToEdge, EdgeToWarden, undefined>;
type Hello = Result<EdgeToWarden, 'node.hello'>;

type WardenClientEvents = {
  /** Called when the warden ended a session. */
  readonly terminated: (session: string, reason: SessionEnd) => void;
  /**
   * Returns the sessions whose clients did something that the warden
   * does not know of yet. `told` is called when the warden knows of it.
   */
  readonly active: () => {
    readonly active: readonly { readonly session: string; readonly quietMs: number }[];
    told(): void;
  };
  /**
   * Called with an operator's order: this run must end within `withinMs`
   * milliseconds. The order is repeated with every renewal of the lease.
   */
  readonly drain: (withinMs: number) => void;
  /**
   * Called when the warden is about to stop. Resolves when no login and no key exchange is half done,
   * because the next warden will know nothing of them, or when the edge has waited for them long enough.
   */
  readonly leaving: () => Promise<void>;
  /** Called when the lease was lost, and when it is back. */
  readonly leaseChanged: (isLive: boolean) => void;
  readonly sessionCount: () => number;
  readonly hasNativeCipher: boolean;
};

/**
 * The number of ended sessions that come with one renewal. When there are
 * as many, there may be more, and nothing is sent before those are known.
 */
const endedMax = 1000;
const backoffFirstMs = 50;
const backoffMaxMs = 1000;
/**
 * The longest pause between two attempts to connect, in milliseconds. A connection
 * to a Unix socket costs little, so a warden that was restarted is found soon.
 */
const reconnectMaxMs = 250;

/**
 * Returns whose share a call uses: that of the session whose token it carries, otherwise
 * that of the login of its connection. Calls of the edge itself count among the logins.
 */
function whoseOf(params: object): Claim {
  if ('token' in params && typeof params.token === 'string') return { holder: params.token, group: 'sessions' };
  return {
    holder: 'connection' in params && typeof params.connection === 'string' ? params.connection : 'edge',
    group: 'logins',
  };
}

export class WardenClient implements WardenCalls {
  readonly #node: EdgeNode;
  readonly #events: WardenClientEvents;
  /** Identifies this run of the process. When a new run says hello, the warden ends what an earlier run left behind. */
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
  /** The host keys as of the last `node.hello`. A warden that was restarted may have others. */
  hostKeys: Hello['hostKeys'] = [];
  challenge = '';
  #timer: NodeJS.Timeout | undefined;

  /** `calls`: how many calls may be under way, in all and for one login or session. */
  constructor(node: EdgeNode, calls: Share, events: WardenClientEvents) {
    this.#node = node;
    this.#slots = new Slots(calls);
    this.#events = events;
  }

  /**
   * Resolves with the answer to the first `node.hello`. Rejects with
   * `configuration` when no warden has answered within `patienceMs`.
   */
  async start(patienceMs: number): Promise<Hello> {
    const first = new Promise<Hello>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new CofferdamError('configuration', 'the warden cannot be reached on its socket')),
        patienceMs,
      );
      this.#connect((hello) => {
        clearTimeout(timer);
        resolve(hello);
      });
    });
    const hello = await first;
    this.#timer = setInterval(() => this.#beat(), this.#node.limits.leaseIntervalMs);
    return hello;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#peer?.close();
    for (const wake of this.#waiting) wake(undefined);
  }

  get isLeaseLive(): boolean {
    return this.#isLive && performance.now() - this.#lastRenewal <= this.#node.limits.leaseLostMs;
  }

  /** True when a warden is connected and is not about to stop. */
  get isReady(): boolean {
    return this.#peer?.isOpen === true && !this.#isLeaving;
  }

  /** Resolves when a warden is connected; rejects with `unavailable` after `wardenRetryMs`. */
  async whenReady(): Promise<void> {
    if (!this.isReady) await this.#next(performance.now() + this.#node.limits.wardenRetryMs);
  }

  #connect(onHello: (hello: Hello) => void): void {
    if (this.#isStopped) return;
    const socket = connect(this.#node.paths.wardenSocket(this.#node.node));
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
        // The warden closes the stream once it has our answer. If it does not, we close the stream.
        setTimeout(() => peer.close(), this.#node.limits.wardenRetryMs).unref();
        // A caller that was just given this peer makes its call before the answer is sent.
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
          // The hello does not renew the lease: sessions that ended meanwhile are only reported with the first renewal.
          this.#beat();
          for (const wake of this.#waiting) wake(peer);
          onHello(hello);
        },
        (error: unknown) => {
          // That the warden is away is logged once, when the lease is lost.
          if (toCofferdamError(error).code !== 'unavailable')
            this.#node.log.warn({ err: error }, 'the warden refused node.hello');
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
    const { leaseLostMs } = this.#node.limits;
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
    // A renewal that fails counts as one that did not come. The lease is then lost by the clock.
    detach(renewed, (error) => {
      if (toCofferdamError(error).code === 'bug')
        this.#node.log.error({ err: error }, 'defect in the renewal of the lease');
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
        if (peer === undefined)
          reject(new CofferdamError('unavailable', 'the service is not available at the moment; try again'));
        else resolve(peer);
      };
      const timer = setTimeout(() => finish(undefined), Math.max(0, deadline - performance.now()));
      if (this.#isStopped || this.#waiting.size >= 10_000) finish(undefined);
      else this.#waiting.add(finish);
    });
  }

  /**
   * Makes one call within the shares of edge calls. No session's calls delay those of another session, and no calls
   * delay the lease: what exceeds its share waits here, where the stream to the warden is not held up. Rejects
   * with `invalid` for parameters of a wrong form, with `over-limit` or `unavailable` when its share is used up,
   * and with `unavailable` when no warden is connected by `deadline`.
   */
  async #ask<K extends keyof EdgeToWarden & string>(
    op: K,
    params: Params<EdgeToWarden, K>,
    deadline: number,
  ): Promise<Result<EdgeToWarden, K>> {
    // Parameters contain what clients sent. They are checked here, so that
    // the warden never receives a message of a wrong form from this edge.
    checkCall(edgeToWarden, op, params);
    return this.#slots.within(whoseOf(params), async () => (await this.#connected(deadline)).call(op, params));
  }

  call<K extends keyof EdgeToWarden & string>(
    op: K,
    params: Params<EdgeToWarden, K>,
  ): Promise<Result<EdgeToWarden, K>> {
    return this.#ask(op, params, performance.now() + this.#node.limits.wardenRetryMs);
  }

  async callRepeatable<K extends keyof EdgeToWarden & string>(
    op: K,
    params: Params<EdgeToWarden, K>,
  ): Promise<Result<EdgeToWarden, K>> {
    const deadline = performance.now() + this.#node.limits.wardenRetryMs;
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
