// Owns: the self-test of one node. Every few minutes it logs in to the node's own test account
// through the real listener, exceeds its cap, and tries wrong codes until the lockout.
// Must never: stop because one round failed, or let a round run without a time limit.
import { generateKeyPairSync } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { EdgeConfig } from '../../config/config.ts';
import { isInNetwork, parseNetwork } from '../../domain/addresses.ts';
import { detach, unexpected } from '../../domain/detached.ts';
import type { Verdict } from '../../domain/self-test-round.ts';
import { wireString } from '../../domain/ssh-wire.ts';
import type { EdgeNode, WardenCalls } from '../seam/sftp-seam.ts';
import type { Person } from './probe.ts';
import type { FromRound, RoundData } from './round.ts';

const firstAfterMs = 3000;
const roundMsMax = 120_000;
/**
 * How long one key of the test account is used, in milliseconds. The warden accepts
 * another key of the same run only after 20 hours, and a key expires after 30 days.
 */
const keyLifeMs = 24 * 3_600_000;
const anyHosts: Readonly<Record<string, string>> = {
  '0.0.0.0': '127.0.0.1',
  '::': '::1',
  '': '127.0.0.1',
  localhost: '127.0.0.1',
};

type SelfTestOptions = {
  readonly node: EdgeNode;
  readonly edge: EdgeConfig;
  readonly warden: WardenCalls;
  /** Returns the accepted host keys: public halves in the SSH wire form, base64. */
  readonly hostKeys: () => readonly string[];
};
/** The two ends of a connection, as its socket reports them. */
type Ends = {
  readonly remotePort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
};
/**
 * Returns whether a connection comes from this machine and from one of our own
 * ports. The port alone says nothing, because a remote client may use the same one.
 */
export const isFromHere = (ports: ReadonlySet<number>, { remotePort, remoteAddress, localAddress }: Ends): boolean =>
  remotePort !== undefined && remoteAddress !== undefined && remoteAddress === localAddress && ports.has(remotePort);

type Tester = Person & { readonly directory: string };

/** Creates a key on P-256, a type that every algorithm profile accepts. */
function newKey(): { readonly blob: Buffer; readonly privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  const blob = Buffer.concat([wireString('ecdsa-sha2-nistp256'), wireString('nistp256'), wireString(point)]);
  return { blob, privateKey: privateKey.export({ type: 'sec1', format: 'pem' }).toString() };
}

export class SelfTest {
  readonly #options: SelfTestOptions;
  readonly #ports = new Set<number>();
  #key = { ...newKey(), at: performance.now() };
  #tester: Tester | undefined;
  #timer: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;
  #isStopped = false;

  constructor(options: SelfTestOptions) {
    this.#options = options;
    if (options.node.limits.selfTestEveryMs > 0) this.#schedule(firstAfterMs);
  }

  /** Returns whether a connection belongs to the self-test. Such a connection is never penalised. */
  isOwn(ends: Ends): boolean {
    return isFromHere(this.#ports, ends);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#worker?.terminate();
  }

  #schedule(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      detach(
        this.#round().finally(() => this.#schedule(this.#options.node.limits.selfTestEveryMs)),
        unexpected,
      );
    }, ms);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const { node, warden } = this.#options;
    try {
      const isOld = performance.now() - this.#key.at > keyLifeMs;
      if (isOld) this.#key = { ...newKey(), at: performance.now() };
      const tester = (isOld ? undefined : this.#tester) ?? (await this.#begin());
      this.#tester = tester;
      const checks = await this.#inThread(tester);
      await warden.call('self-test.report', { checks: [...checks] });
    } catch (error) {
      if (this.#isStopped) return;
      // The next round begins anew. The warden notices that no report came.
      this.#tester = undefined;
      node.log.warn({ err: error }, 'a round of the self-test did not finish');
    }
  }

  async #begin(): Promise<Tester> {
    const { blob, privateKey } = this.#key;
    const { account, directory } = await this.#options.warden.call('self-test.begin', { key: blob.toString('base64') });
    return { username: account, privateKey, directory };
  }

  #roundData(person: Tester): RoundData {
    const { edge, hostKeys, node } = this.#options;
    const host = anyHosts[edge.host] ?? edge.host;
    const balancers = edge.balancers.map(parseNetwork).filter((network) => network !== undefined);
    const needsHeader = balancers.some((network) => isInNetwork(host, network));
    return {
      person,
      target: { host, port: edge.port, needsHeader, hostKeys: hostKeys() },
      loginAttemptsMax: node.limits.loginAttemptsMax,
    };
  }

  #inThread(tester: Tester): Promise<readonly Verdict[]> {
    const worker = new Worker(new URL('./round.ts', import.meta.url), { workerData: this.#roundData(tester), env: {} });
    this.#worker = worker;
    return new Promise<readonly Verdict[]>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the round took too long')), roundMsMax);
      worker.on('message', (message: FromRound) => {
        switch (message.kind) {
          case 'port':
            if (message.isOpen) this.#ports.add(message.port);
            else this.#ports.delete(message.port);
            return;
          case 'codes':
            detach(
              this.#options.warden.call('self-test.code', {}).then((codes) => worker.postMessage(codes)),
              reject,
            );
            return;
          case 'done':
            clearTimeout(timer);
            resolve(message.checks);
        }
      });
      worker.once('error', reject);
      worker.once('exit', () => {
        clearTimeout(timer);
        reject(new Error('the round ended without a result'));
      });
    }).finally(() => detach(worker.terminate(), unexpected));
  }
}
