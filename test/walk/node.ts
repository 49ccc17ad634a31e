// Owns: a node of the gateway that is played from outside: its one connection to the warden, made again when the warden
// cuts it, and its files.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import { become } from '../support/become.ts';
import { connectAs, type EdgePeer, hashOf, transcript } from '../support/impostor.ts';

export type Answer = { readonly result: unknown } | { readonly code: string; readonly message: string };
type FileWish = { readonly id: number; readonly path: string; readonly base64: string | null };

/** Writes and deletes files as the system user of an edge, by plain system calls. */
export class Hand {
  readonly #child: ChildProcess | undefined;
  readonly #waiting = new Map<number, (outcome: string) => void>();
  #id = 0;

  /** `user` null: roles share one user, which is that of the test. */
  constructor(user: string | null) {
    if (user === null) return;
    this.#child = fork(import.meta.filename, [user], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, outcome }: { id: number; outcome: string }) => {
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
  }

  get isAnotherUser(): boolean {
    return this.#child !== undefined;
  }

  /** `done`, or the code of the system's refusal. */
  put(path: string, bytes: Uint8Array | null): Promise<string> {
    this.#id += 1;
    const wish: FileWish = {
      id: this.#id,
      path,
      base64: bytes === null ? null : Buffer.from(bytes).toString('base64'),
    };
    const child = this.#child;
    if (child === undefined) return Promise.resolve(grant(wish));
    return new Promise((resolve) => {
      this.#waiting.set(wish.id, resolve);
      child.send(wish);
    });
  }

  close(): void {
    this.#child?.disconnect();
  }
}

function grant({ path, base64 }: FileWish): string {
  try {
    if (base64 === null) rmSync(path);
    else writeFileSync(path, Buffer.from(base64, 'base64'), { mode: 0o640 });
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

if (import.meta.main) {
  become(process.argv[2] ?? '');
  process.on('message', (wish: FileWish) => process.send?.({ id: wish.id, outcome: grant(wish) }));
  process.on('disconnect', () => process.exit(0));
}

export class PlayedNode {
  readonly #socket: string;
  readonly #incoming: string;
  readonly hand: Hand;
  #peer: EdgePeer | undefined;
  startId: string = randomUUID();
  challenge = '';
  hostKeys: readonly string[] = [];
  /** How often the warden cut the connection. */
  cuts = 0;

  constructor(given: { readonly socket: string; readonly incoming: string; readonly user: string | null }) {
    this.#socket = given.socket;
    this.#incoming = given.incoming;
    this.hand = new Hand(given.user);
  }

  async peer(): Promise<EdgePeer> {
    if (this.#peer?.isOpen === true) return this.#peer;
    if (this.#peer !== undefined) this.cuts += 1;
    const peer = connectAs(this.#socket);
    this.#peer = peer;
    try {
      await this.greet();
    } catch (error) {
      peer.close();
      throw error;
    }
    return peer;
  }

  /** The run is the one that the test states, whatever was stated meanwhile. */
  async greet(): Promise<void> {
    const hello = await this.#peer?.call('node.hello', { protocol: 1, startId: this.startId });
    if (hello === undefined) return;
    this.challenge = hello.challenge;
    this.hostKeys = hello.hostKeys.map(({ blob }) => blob);
  }

  /** What a KEXINIT must have now. */
  async renew(): Promise<void> {
    const { challenge } = await this.ask<{ readonly challenge: string }>('lease.renew', {
      sessions: 0,
      epoch: 0,
      active: [],
    });
    this.challenge = challenge;
  }

  /** Any call, whatever its parameters are. */
  async say(op: string, params: unknown): Promise<Answer> {
    try {
      const peer = await this.peer();
      return { result: await peer.call(op as never, params as never) };
    } catch (error) {
      return error instanceof CofferdamError
        ? { code: error.code, message: error.message }
        : { code: 'thrown', message: String(error) };
    }
  }

  /** The result of a call that must succeed. */
  async ask<T>(op: string, params: unknown): Promise<T> {
    const answer = await this.say(op, params);
    if ('result' in answer) return answer.result as T;
    throw new Refused(op, answer.code, answer.message);
  }

  /** A key exchange that the warden signed: the name of its connection, and the session identifier. */
  async exchange(): Promise<{ readonly connection: string; readonly identifier: Buffer }> {
    await this.renew();
    const params = transcript(this.challenge);
    return { connection: params.connection, identifier: hashOf(params, await this.ask('exchange.sign', params)) };
  }

  put(object: string, bytes: Uint8Array | null): Promise<string> {
    return this.hand.put(join(this.#incoming, object), bytes);
  }

  close(): void {
    this.#peer?.close();
    this.hand.close();
  }
}

export class Refused extends Error {
  readonly code: string;
  constructor(op: string, code: string, text: string) {
    super(`${op}: ${code}: ${text}`);
    this.code = code;
  }
}
