// Owns: a node of the gateway that is played from outside: its one connection to the warden, made again when the warden
// cuts it, and its hand: puts into the store, and files, as its system user.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';
import { become } from '../support/become.ts';
import { connectAs, type EdgePeer, hashOf, transcript } from '../support/impostor.ts';
import { type Said, type StoreAnswer, StoreClient } from '../support/store-client.ts';

export type Answer = { readonly result: unknown } | { readonly code: string; readonly message: string };
/** A file that is written, or deleted (null); or an object that is put into the store by a ticket. */
type Wish = { readonly path: string; readonly base64: string | null } | PutWish;
type PutWish = { readonly socket: string; readonly ticket: string; readonly base64: string };
type Outcome = string | StoreAnswer;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Writes and deletes files, and puts objects into the store, as the system user of an edge. */
export class Hand {
  readonly #child: ChildProcess | undefined;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #id = 0;

  /** `user` null: roles share one user, which is that of the test. */
  constructor(user: string | null) {
    if (user === null) return;
    this.#child = fork(import.meta.filename, [user], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, outcome }: { id: number; outcome: Outcome }) => {
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
  }

  get isAnotherUser(): boolean {
    return this.#child !== undefined;
  }

  /** `done`, or the code of the system's refusal. */
  async write(path: string, bytes: Uint8Array | null): Promise<string> {
    return (await this.#wish({ path, base64: bytes === null ? null : base64(bytes) })) as string;
  }

  /** What the store answers. */
  async put(socket: string, ticket: string, bytes: Uint8Array): Promise<StoreAnswer> {
    return (await this.#wish({ socket, ticket, base64: base64(bytes) })) as StoreAnswer;
  }

  #wish(wish: Wish): Promise<Outcome> {
    this.#id += 1;
    const id = this.#id;
    const child = this.#child;
    if (child === undefined) return grant(wish);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      child.send({ id, wish });
    });
  }

  close(): void {
    this.#child?.disconnect();
    for (const store of stores.values())
      void store.then(
        (one) => one.close(),
        () => {},
      );
    stores.clear();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

/** The connections to the store, by its socket. */
const stores = new Map<string, Promise<StoreClient>>();

async function put({ socket, ticket, base64: sealed }: PutWish): Promise<StoreAnswer> {
  const known = stores.get(socket);
  const isOpen = (await known?.catch(() => undefined))?.isOpen === true;
  if (!isOpen && stores.get(socket) === known) stores.set(socket, StoreClient.connect(socket));
  const store = await stores.get(socket);
  return store?.put(ticket, Buffer.from(sealed, 'base64')) ?? { kind: 'gone' };
}

async function grant(wish: Wish): Promise<Outcome> {
  if ('ticket' in wish) return put(wish).catch((): StoreAnswer => ({ kind: 'gone' }));
  try {
    if (wish.base64 === null) rmSync(wish.path);
    else writeFileSync(wish.path, Buffer.from(wish.base64, 'base64'), { mode: 0o640 });
    return 'done';
  } catch (error) {
    return codeOf(error);
  }
}

if (import.meta.main) {
  become(process.argv[2] ?? '');
  process.on('message', ({ id, wish }: { id: number; wish: Wish }) => {
    void grant(wish).then((outcome) => process.send?.({ id, outcome }));
  });
  process.on('disconnect', () => process.exit(0));
}

export class PlayedNode {
  readonly #socket: string;
  readonly #store: string;
  readonly hand: Hand;
  #peer: EdgePeer | undefined;
  startId: string = randomUUID();
  challenge = '';
  hostKeys: readonly string[] = [];
  /** What the store said last of an object, and how often it answered what. */
  heard: Said | undefined;
  readonly puts: Record<string, number> = {};
  /** How often the warden cut the connection. */
  cuts = 0;

  constructor(given: { readonly socket: string; readonly store: string; readonly user: string | null }) {
    this.#socket = given.socket;
    this.#store = given.store;
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

  /** Puts an object into the store, whatever the ticket and the bytes are. */
  async put(ticket: string, sealed: Uint8Array): Promise<StoreAnswer> {
    const answer = await this.hand.put(this.#store, ticket, sealed);
    if (answer.kind === 'durable') this.heard = answer.durable;
    const said = answer.kind === 'failed' ? answer.failure : answer.kind;
    this.puts[said] = (this.puts[said] ?? 0) + 1;
    return answer;
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
